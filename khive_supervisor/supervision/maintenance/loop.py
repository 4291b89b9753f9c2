"""What keeps the store small and the index fresh while nobody waits for it.

Runs in a thread of the supervisor with a store of its own, so that an fsync never delays the loop.
A tick on an idle store costs two system calls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from khive_supervisor import logs
from khive_supervisor.audit import actors
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import IndexFileError, KhiveError
from khive_supervisor.index.vectors.build import BuildReason, decide
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import JournalFilter
from khive_supervisor.store.vectors import Generation, VectorStats
from khive_supervisor.store.workflows.offices import SCHEDULES, channel_office
from khive_supervisor.supervision.maintenance.following import TranscriptFollower
from khive_supervisor.team.waiting import Standing
from khive_supervisor.workflows.definitions import as_dict
from khive_supervisor.workflows.model import NewSchedule

log = logs.get("khive.maintenance")

#: Seconds between two looks for what is too old, and how many rows are deleted at once.
FORGET_EVERY, FORGET_AT_ONCE = 600.0, 500


class IndexReport(TypedDict):
    """What `status` shows of the index; the last ones are there once the store was looked at."""

    state: str
    embedder: NotRequired[str]
    problem: NotRequired[str]
    generation: NotRequired[int | None]
    items: NotRequired[int]
    vectors: NotRequired[int]
    waiting_to_be_embedded: NotRequired[int]
    model: NotRequired[str]
    next_build: NotRequired[str | None]


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What the supervisor knows of the index, for `status` and for the decision to build."""

    generation: Generation | None = None
    vectors: VectorStats | None = None
    damaged: str = ""
    reason: BuildReason | None = None

    def describe(self, embedder: str) -> IndexReport:
        """Return what `status` shows where this kind of embedder is configured."""
        if self.vectors is None:
            return {"state": "off" if embedder == "none" else "unknown", "embedder": embedder}
        generation = self.generation
        return {
            "state": "damaged" if self.damaged else "in use" if generation else "none yet",
            "problem": self.damaged,
            "generation": generation.generation if generation else None,
            "items": generation.items if generation else 0,
            "vectors": self.vectors.vectors,
            "waiting_to_be_embedded": self.vectors.missing,
            "model": self.vectors.model_id,
            "next_build": self.reason.value if self.reason else None,
        }


@dataclass(frozen=True, slots=True)
class StoreLook:
    """What was found: the writes that wait, and the index; None: it could not be looked at."""

    waiting: Standing
    index: IndexStatus | None


class Maintenance:
    """Checkpoints and the state of the index; every method runs in the maintenance thread."""

    def __init__(
        self,
        config: Config,
        model_id: str | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._model_id = model_id
        self._wal = os.path.realpath(config.store.path) + "-wal"
        #: For what else this thread is asked to do.
        self.store: Store = open_store(config, owner=True, actor=lambda: actors.SUPERVISOR)
        self._seen: int | None = None
        self._wal_seen = (0, 0)
        self._settled = False
        self._clock = clock
        self._wall_clock = wall_clock
        self._forget_at = clock()
        self._forget_events_at = clock()
        self._forget_executions_at = clock()
        self._follower = TranscriptFollower(self.store, config, clock=clock, wall_clock=wall_clock)
        self._verified: dict[int, str] = {}
        self.state = IndexStatus()
        self._keep_channels()
        self._schedule()

    def configure(self, config: Config) -> None:
        """Go by another configuration of the same store and model."""
        self._config = config
        self._seen = None
        self._keep_channels()
        self._schedule()

    def _keep_channels(self) -> None:
        """Forget channels that are not configured: one that comes back is not told of the past."""
        names = [one.name for one in self._config.channels]
        try:
            self.store.offices.want([SCHEDULES, *map(channel_office, names)])
            self.store.deliveries.keep_only(names)
        except KhiveError as error:  # a full disk keeps nobody from being served
            log.warning("channels.not_kept", error=str(error))

    def _schedule(self) -> None:
        """Have the schedules be those of the configuration's workflows, beside those given."""
        namespace = self._config.session.namespace
        wanted = [
            NewSchedule(
                one.name, one.every, as_dict(one), {}, one.zone, one.catch_up,
                namespace=namespace, configured=True,
            )
            for one in self._config.workflows if one.every
        ]  # fmt: skip
        try:
            self.store.schedules.configure(wanted)
        except KhiveError as error:
            log.error("schedules.not_configured", error=str(error))

    def checkpoint(self) -> None:
        """Copy the log back; empty it when it is large, or when the store has become quiet."""
        try:
            found = os.stat(self._wal)
        except FileNotFoundError:
            return
        now = (found.st_size, found.st_mtime_ns)
        quiet, self._wal_seen = now == self._wal_seen, now
        if found.st_size == 0 or (quiet and self._settled):
            return
        truncate = quiet or found.st_size > self._config.supervisor.wal_truncate_bytes
        try:
            self.store.checkpoint(truncate)
        except KhiveError as error:
            log.warning("store.checkpoint_failed", error=str(error))
        self._settled = quiet
        found = os.stat(self._wal)
        self._wal_seen = (found.st_size, found.st_mtime_ns)

    def tend(self) -> StoreLook:
        """Do all that is due, and look; what fails is done at the next call, with all after it.

        In one go, since this is called all the time: a way to this thread and back costs more than
        what is to be done at rest.
        """
        waiting = self.waiting_writes()  # what follows may need the server
        try:
            self.checkpoint()
            self.forget_tasks()
            self.forget_executions()
            self.forget_journal()
            self.follow_transcripts()
            return StoreLook(waiting, self.look())
        except (KhiveError, OSError) as error:  # busy, full, damaged: the next may do better
            log.warning("maintenance.failed", error=str(error))
            return StoreLook(waiting, None)

    def look_at_all(self) -> StoreLook:
        """Look at what waits for a team's server and at the index, and do nothing else."""
        return StoreLook(self.waiting_writes(), self.look())

    def waiting_writes(self) -> Standing:
        """Return how many writes wait on this machine for its team's server."""
        # A store of one machine has nothing such.
        return self.store.waiting.standing() if self._config.store.url else Standing()

    def forget_tasks(self) -> None:
        """Delete some of the tasks that ended long ago; the others at the next calls."""
        now = self._clock()
        if now < self._forget_at:
            return
        before = self._wall_clock() - self._config.tasks.keep
        if not self.store.tasks.prune(before, FORGET_AT_ONCE):
            self._forget_at = now + FORGET_EVERY

    def forget_executions(self) -> None:
        """Remove some of the executions that ended long ago; the others at the next calls."""
        now = self._clock()
        if now < self._forget_executions_at:
            return
        before = self._wall_clock() - self._config.history.keep
        if not self.store.executions.prune(before, FORGET_AT_ONCE):
            self._forget_executions_at = now + FORGET_EVERY

    def forget_journal(self) -> None:
        """Delete some of the journals' events that are too old; the others at the next calls."""
        now = self._clock()
        if now < self._forget_events_at:
            return
        before = self._wall_clock() - self._config.journal.keep
        erased = self.store.journal.erase(JournalFilter(before=before), FORGET_AT_ONCE)
        if max(erased, self.store.client_sessions.erase(before, FORGET_AT_ONCE)) < FORGET_AT_ONCE:
            self._forget_events_at = now + FORGET_EVERY

    def follow_transcripts(self) -> int:
        """Take in what clients' transcripts have more, where that was turned on."""
        return self._follower.look()

    def look(self, *, again: bool = False) -> IndexStatus:
        """The index's state, read again only when the store has changed (or `again`)."""
        if self._model_id is None:
            return self.state
        version = self.store.data_version()
        if version == self._seen and not again:
            return self.state
        generation = self.store.generations.current(self._model_id)
        vectors = self.store.vectors.stats(self._model_id)
        damaged = self._damage(generation)
        reason = decide(
            vectors,
            generation,
            share=self._config.index.rebuild_share,
            minimum=self._config.index.rebuild_minimum,
            damaged=bool(damaged),
        )
        self._seen = version
        self.state = IndexStatus(generation, vectors, damaged, reason)
        return self.state

    def _damage(self, generation: Generation | None) -> str:
        """Why the current generation cannot be used; each one's checksum is checked once."""
        if generation is None:
            return ""
        if generation.generation not in self._verified:
            self._verified = {generation.generation: self._verify(generation)}
        return self._verified[generation.generation]

    def _verify(self, generation: Generation) -> str:
        try:
            Generations(self._config.store.path).verify(generation)
        except IndexFileError as error:
            log.error("index.damaged", generation=generation.generation, error=str(error))
            return str(error)
        return ""

    def forget_verdict(self) -> None:
        """A worker found the file damaged: check it again at the next look."""
        self._verified = {}
        self._seen = None

    def close(self) -> None:
        """Close the store; idempotent."""
        self.store.close()
