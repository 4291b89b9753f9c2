"""Whose text is computed next: the order of the embedder process's work, without threads or I/O.

Short requests are searches that somebody waits for; long ones are texts to be stored. Each kind has
a queue, and a thread that serves only short ones; so neither holds up the other. Within a queue the
jobs take turns, a few texts each: one large import does not hold up another session's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from khive_supervisor.embed.base import EmbedderBusy, Vectors
from khive_supervisor.errors import KhiveError

#: A request within both limits is short: a query, or a few of them at once.
SHORT_TEXTS = 4
SHORT_CHARACTERS = 4_000
#: Texts that may wait, half a minute of work; a request beyond them is told to come later.
WAITING_LIMIT = 8_192


#: Seconds after another client's request in which a client is not alone.
SOLE_AFTER = 0.05


class SoleClient:
    """Who has asked of late: one who asks alone is answered without a change of threads.

    That saves it 0.7 ms of 2, and costs the others, if any come meanwhile, the time of one text.
    """

    def __init__(self) -> None:
        self._last: object = None
        self._last_at = self._other_at = -SOLE_AFTER

    def is_sole(self, client: object, now: float) -> bool:
        """Note that a client asks at a monotonic time; return True if no other has of late."""
        if client is not self._last:
            self._last, self._other_at = client, self._last_at
        self._last_at = now
        return now - self._other_at >= SOLE_AFTER


class Job:
    """One request: its texts, the rows of their vectors, and whom to tell when all are there."""

    __slots__ = ("error", "left", "next", "notify", "over", "short", "texts", "vectors")

    def __init__(self, texts: list[str], dimensions: int, notify: Callable[[Job], None]) -> None:
        self.texts = texts
        self.vectors: Vectors = np.empty((len(texts), dimensions), np.float32)
        self.notify = notify
        #: Whether it goes before long ones.
        self.short = len(texts) <= SHORT_TEXTS and sum(map(len, texts)) <= SHORT_CHARACTERS
        #: The first text that nobody has taken, and how many texts have no vector yet.
        self.next = 0
        self.left = len(texts)
        self.error: KhiveError | None = None
        #: Whether nothing more happens to it: all vectors are there, it failed, or was dropped.
        self.over = False

    def fill(self, start: int, vectors: Vectors) -> None:
        """Vectors of the texts from `start` on have been computed."""
        self.vectors[start : start + len(vectors)] = vectors
        self.left -= len(vectors)


class Slice:
    """Texts of one job that are computed together: those from `start` on, `texts` in all."""

    __slots__ = ("job", "start", "texts")

    def __init__(self, job: Job, start: int, texts: list[str]) -> None:
        self.job = job
        self.start = start
        self.texts = texts


class Turns:
    """The jobs that wait. `batch` is how many texts of a job are computed together."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._short: deque[Job] = deque()
        self._long: deque[Job] = deque()
        #: Texts that nobody has taken.
        self.waiting = 0

    def add(self, job: Job) -> None:
        """Let a job wait for its turn.

        Raises:
            EmbedderBusy: too much is waiting; the job was not taken.
        """
        if self.waiting + len(job.texts) > WAITING_LIMIT:
            raise EmbedderBusy(
                f"The embedder has {self.waiting} texts waiting.",
                hint="Search goes on with full text; ask again in some seconds.",
            )
        self.waiting += len(job.texts)
        (self._short if job.short else self._long).append(job)

    def take(self) -> Slice | None:
        """The next texts for one who serves all; long jobs first, for the short have their own."""
        return self._slice(self._long) or self._slice(self._short)

    def take_short(self) -> Slice | None:
        """Return the next texts for one who serves only short jobs; None when none waits."""
        return self._slice(self._short)

    def _slice(self, queue: deque[Job]) -> Slice | None:
        if not queue:
            return None
        job = queue.popleft()
        start = job.next
        texts = job.texts[start : start + self._batch]
        job.next += len(texts)
        self.waiting -= len(texts)
        if job.next < len(job.texts):
            queue.append(job)
        return Slice(job, start, texts)

    def drop(self, job: Job) -> None:
        """Forget what nobody has taken of a job: its client is gone, or it failed."""
        job.over = True
        for queue in (self._short, self._long):
            if job in queue:
                queue.remove(job)
        self.waiting -= len(job.texts) - job.next
        job.next = len(job.texts)
