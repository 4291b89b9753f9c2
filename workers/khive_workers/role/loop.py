"""A role worker's loop: claims tasks, has them done, and stores what came of them.

One thread. It waits for the supervisor's words, for the handler, and for the next thing that is
due; it holds no transaction while it waits. The end of the queue is the drain: what is held is
finished, nothing more is claimed.
"""

from __future__ import annotations

import os
import random
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from khive_supervisor import exitcodes, logs
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.config.settings.budget import read_prices
from khive_supervisor.config.settings.notes import Notes
from khive_supervisor.control import protocol
from khive_supervisor.errors import InvalidInput, KhiveError, ProtocolError
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    ERROR_LIMIT,
    FAILED,
    Claim,
    Claimant,
    Finished,
    Outcome,
)
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.role.handlers import TaskHandler, Why, clip, failure

log = logs.get("khive.role")

#: Seconds between two looks for tasks that nobody told of, and how much longer it may be.
POLL, POLL_JITTER = 5.0, 1.0
#: Seconds between two lines of progress that are stored, and between two ends of a log.
PROGRESS_EVERY, LOG_EVERY = 0.25, 1.0
#: Seconds in which a handler must have stopped after it was told to; its process ends otherwise.
#: A function whose time is over has had it.
STOP_GRACE, TIMEOUT_GRACE = 6.0, 1.0
#: Turns of the loop that may fail for want of memory before the process ends.
STARVED_LIMIT = 1000
#: Seconds before a store that could not be written is tried again.
RETRY_AFTER = 0.5


class ActiveTask:
    """The task at work, and when something is due for it (monotonic)."""

    def __init__(self, claim: Claim, now: float, timeout: float) -> None:
        self.claim = claim
        self.since = now
        self.renew_at = now + lease.RENEW_EVERY
        self.timeout_at = now + timeout
        self.stop_until: float | None = None
        self.why: Why | None = None
        self.outcome: Outcome | None = None
        self.not_before = now
        self.said: str | None = None
        self.say_at = now
        #: A task that is over at once stores its log with what came of it alone.
        self.log_at = now + LOG_EVERY
        self.log_due = False

    def due(self) -> float:
        """When the loop must look again, whatever the handler does."""
        moments = [self.renew_at]
        if self.why is None:
            moments.append(self.timeout_at)
        if self.stop_until is not None:
            moments.append(self.stop_until)
        if self.outcome is not None:
            moments.append(self.not_before)
        if self.said is not None:
            moments.append(self.say_at)
        if self.log_due:
            moments.append(self.log_at)
        return min(moments)


class RoleLoop:
    """Runs until it is drained; the exit code says how it ended."""

    def __init__(
        self,
        tasks: TaskStore,
        handler: TaskHandler,
        claimant: Claimant,
        queue: socket.socket,
        selector: selectors.BaseSelector,
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        prices: PriceList | None = None,
    ) -> None:
        self._tasks = tasks
        self._prices = prices or PriceList()
        self._handler = handler
        self._claimant = claimant
        self._queue = queue
        self._selector = selector
        self._timeout = timeout
        self._clock = clock
        self._decoder = protocol.FrameDecoder()
        self._task: ActiveTask | None = None
        self._active = False
        self._draining = False
        self._look_at: float | None = None
        self._code: int | None = None
        self._starved = 0

    def run(self) -> int:
        """Serve until drained; the exit code."""
        self._queue.setblocking(False)
        self._selector.register(self._queue, selectors.EVENT_READ, self._receive)
        self.send(ready=True)
        while self._code is None:
            try:
                for key, _ in self._selector.select(self._wait()):
                    key.data()
                self._turn(self._clock())
            except MemoryError:
                # A function has taken all that the role may use; it meets the same error, and
                # when it lets go, this goes on.
                self._starved += 1
                if self._starved > STARVED_LIMIT:
                    return exitcodes.RECYCLE
        return self._code

    def _wait(self) -> float | None:
        moments = [self._handler.turn(self._clock())]
        # A look that becomes due during a task follows it.
        moments.append(self._look_at if self._task is None else self._task.due())
        known = [moment for moment in moments if moment is not None]
        return max(0.0, min(known) - self._clock()) if known else None

    def _turn(self, now: float) -> None:
        """Do everything that is due."""
        task = self._task
        if task is not None:
            self._tend(task, now)
        looks = self._task is None and self._active and not self._draining
        if looks and self._look_at is not None and now >= self._look_at:
            self._claim(now)
        if self._task is None and self._draining and self._code is None:
            self._code = exitcodes.OK

    # --- the supervisor -------------------------------------------------------------------------

    def send(self, **message: Any) -> None:
        """Say something to the supervisor; what it does not read is lost."""
        try:
            self._queue.send(protocol.encode(message))
        except OSError:
            return  # it is gone or busy; the store has what counts

    def _receive(self) -> None:
        try:
            data = self._queue.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drain()
            return
        try:
            for message in self._decoder.feed(data):
                self._handle(message)
        except ProtocolError as error:
            log.error("role.garbled", error=str(error))
            self._drain()

    def _handle(self, message: JsonObject) -> None:
        match message.get("do"):
            case "go":
                self._active = True
                self._look_at = self._clock()
            case "wake":
                self._look_at = self._clock()
            case "ping":
                self.send(alive=True)
            case "prices":
                self._prices.replace(read_prices(message.get("prices"), Notes("the supervisor")))
            case "cancel":
                task = self._task
                if task is not None and message.get("task") == task.claim.id:
                    self._stop(task, Why.CANCELLED, self._clock())

    def _drain(self) -> None:
        self._draining = True
        if self._queue.fileno() in self._selector.get_map():
            self._selector.unregister(self._queue)
        log.debug("role.draining", task=self._task.claim.id if self._task else None)

    # --- claiming -------------------------------------------------------------------------------

    def _claim(self, now: float) -> None:
        self._look_at = now + POLL + POLL_JITTER * random.random()  # noqa: S311 - no secret
        try:
            claim = self._tasks.claim(self._claimant, self._tasks.now())
        except KhiveError as error:
            log.warning("role.claim_failed", error=str(error))
            self._look_at = now + RETRY_AFTER
            return
        self._take(claim)

    def _take(self, claim: Claim | None) -> None:
        if claim is None:
            return
        self._task = ActiveTask(claim, self._clock(), self._timeout)
        # Later attempts waited for something else: a pause after a failure, another candidate.
        waited = time.time() - claim.created_at if claim.attempts == 1 else None
        self.send(took=claim.id, waited=waited)
        self._handler.begin(claim)

    # --- the task at work -----------------------------------------------------------------------

    def _tend(self, task: ActiveTask, now: float) -> None:
        if task.outcome is None:
            task.outcome = self._handler.outcome()
        if task.outcome is not None:
            if now >= task.not_before:
                self._finish(task, now)
            return
        if now >= task.renew_at:
            self._renew(task, now)
        if task.why is None and now >= task.timeout_at:
            self._stop(task, Why.TIMEOUT, now)
        if task.stop_until is not None and now >= task.stop_until:
            self._give_up(task, now)
        self._report(task, now)
        self._keep_log(task, now)

    def _renew(self, task: ActiveTask, now: float) -> None:
        """Hold the task for longer, and hear whether somebody has cancelled it."""
        claim = task.claim
        try:
            until = self._tasks.now().after(lease.LEASE)
            kept = self._tasks.renew(claim.id, claim.token, until)
            asked = not kept or self._tasks.cancelled(claim.id, claim.token)
        except KhiveError as error:
            log.warning("role.renew_failed", task=claim.id, error=str(error))
            task.renew_at = now + RETRY_AFTER
            return
        task.renew_at = now + lease.RENEW_EVERY
        if asked and task.why is None:
            self._stop(task, Why.CANCELLED if kept else Why.LOST, now)

    def _stop(self, task: ActiveTask, why: Why, now: float) -> None:
        if task.why is None:
            task.why = why
            task.stop_until = now + self._grace(why)
            self._handler.stop(why)
            log.info("role.stopping", task=task.claim.id, why=why.value)

    def _grace(self, why: Why) -> float:
        at_once = why is Why.TIMEOUT and not self._handler.ends
        return (TIMEOUT_GRACE if at_once else STOP_GRACE) + self._handler.tidies

    def _give_up(self, task: ActiveTask, now: float) -> None:
        """Store that it does not stop, and end this process: nothing else ends a thread."""
        seconds = now - task.since
        task.outcome = Outcome(
            CANCELLED,
            error="cancelled; it did not stop",
            latency=seconds,
            usage=self._handler.used(),
        )
        self._draining = True  # no further task
        self._finish(task, now)
        self._code = exitcodes.RECYCLE

    def _report(self, task: ActiveTask, now: float) -> None:
        """Store how far it is, not more often than somebody could read it."""
        task.said = self._handler.progress() or task.said
        if task.said is None or now < task.say_at:
            return
        claim = task.claim
        try:
            self._tasks.progress(claim.id, claim.token, task.said)
        except KhiveError as error:
            log.debug("role.progress_failed", task=claim.id, error=str(error))
        task.said, task.say_at = None, now + PROGRESS_EVERY

    def _keep_log(self, task: ActiveTask, now: float) -> None:
        """Store the end of what it has printed, so that somebody can follow it."""
        task.log_due = now < task.log_at
        printed = None if task.log_due else self._handler.printed()
        if printed is None:
            return
        task.log_at = now + LOG_EVERY
        claim = task.claim
        try:
            self._tasks.note_log(claim.id, claim.token, printed)
        except KhiveError as error:
            log.debug("role.log_not_kept", task=claim.id, error=str(error))

    def _finish(self, task: ActiveTask, now: float) -> None:
        """Store what came of it, guarded by its token, and take the next in the same step."""
        assert task.outcome is not None
        goes_on = self._active and not self._draining
        if task.why is Why.TIMEOUT:
            task.outcome = self._too_long(task.outcome)
        try:
            finished = self._store(task, self._claimant if goes_on else None)
        except KhiveError as error:
            log.warning("role.finish_failed", task=task.claim.id, error=str(error))
            task.not_before = now + RETRY_AFTER
            if now >= task.renew_at:
                self._renew(task, now)
            return
        self._task = None
        ok = task.outcome.state == DONE
        # Neither says anything of the handler: somebody stopped it, or it could not begin.
        silent = task.why in (Why.CANCELLED, Why.LOST) or _not_begun(task)
        self.send(ended=task.claim.id, ok=ok, counts=finished.accepted and not silent)
        if not finished.accepted:
            log.warning("role.fenced", task=task.claim.id, state=finished.state)
        self._take(finished.next)

    def _too_long(self, outcome: Outcome) -> Outcome:
        """Return a timeout is one, whatever the handler made of it."""
        text = f"It took longer than {self._timeout:g} s, the role's timeout, and was stopped."
        failed = failure(text, latency=outcome.latency)
        return replace(failed, log_tail=outcome.log_tail, usage=outcome.usage, place=outcome.place)

    def _store(self, task: ActiveTask, next_claim: Claimant | None) -> Finished:
        claim, outcome = task.claim, task.outcome
        assert outcome is not None
        try:
            return self._tasks.finish(claim.id, claim.token, outcome, self._tasks.now(), next_claim)
        except InvalidInput as error:  # what it returned is nothing that the store takes
            task.outcome = _refused(outcome, error)
            return self._tasks.finish(
                claim.id, claim.token, task.outcome, self._tasks.now(), next_claim
            )


def _not_begun(task: ActiveTask) -> bool:
    """Return True if no candidate could do the task."""
    outcome = task.outcome
    return bool(task.claim.candidate) and outcome is not None and outcome.unavailable is not None


def _refused(outcome: Outcome, error: InvalidInput) -> Outcome:
    """A failure in a result's place: all else that is known of the attempt is as true as before."""
    text = clip(str(error), ERROR_LIMIT)
    return replace(outcome, state=FAILED, result=None, error=text, quality=None)


class Waker:
    """Wakes a selector from another thread, or from a signal's wakeup descriptor."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._read, self.fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.fd, False)
        selector.register(self._read, selectors.EVENT_READ, self._empty)

    def __call__(self) -> None:
        """Make the selector return."""
        try:
            os.write(self.fd, b"\0")
        except BlockingIOError:
            return  # it is full, so the loop wakes anyway

    def _empty(self) -> None:
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            return
