"""What a role worker does its tasks with: a Python function, in one thread beside the loop.

The loop asks a handler to begin, turns it, and reads what came of it; commands are in
`command`. A handler's own faults become an outcome, never an error of the worker.
"""

from __future__ import annotations

import enum
import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from khive_supervisor import exitcodes, logs
from khive_supervisor.errors import BootFailure, CandidateUnavailable
from khive_supervisor.routing import faults
from khive_supervisor.routing.model import OVERLOADED, Unavailable
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    ERROR_LIMIT,
    FAILED,
    LOG_LIMIT,
    RESULT_LIMIT,
    Claim,
    Outcome,
    Usage,
)
from khive_supervisor.text import wellformed
from khive_workers.role.baseline import ProcessBaseline
from khive_workers.role.context import TaskContext
from khive_workers.role.output import PrintedText

log = logs.get("khive.role")

#: Lines of a traceback that become part of the error; the task's log has more of them.
TRACEBACK_LINES = 12


class Why(enum.Enum):
    """Why a task is to stop."""

    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    #: The claim is another worker's now: nothing that is done here counts.
    LOST = "lost"


class TaskHandler(Protocol):
    """Does one task at a time; used only from the loop's thread."""

    @property
    def ends(self) -> bool:
        """Return True if `stop` ends what is at work, rather than ask it to end."""

    @property
    def tidies(self) -> float:
        """Seconds that its end may take beyond those that a handler has to stop."""

    def check(self) -> None:
        """Raise BootFailure, with the reason, if no task can be done."""

    def begin(self, claim: Claim) -> None:
        """Start with a task; there is none at work."""

    def outcome(self) -> Outcome | None:
        """Return what came of it, once: None while it is at work."""

    def progress(self) -> str | None:
        """Return what it said last of how far it is; None: nothing new."""

    def printed(self) -> str | None:
        """Return the end of what it has printed so far; None: nothing since the last time."""

    def used(self) -> Usage | None:
        """Return what the task at work has used so far, as far as is known."""

    def stop(self, why: Why) -> None:
        """Ask it to stop; a command is made to."""

    def turn(self, now: float) -> float | None:
        """Do what has become due, and say when (monotonic) there is something to do next."""

    def close(self) -> None:
        """Leave nothing behind."""


class AroundHandler:
    """Does all that the handler inside does; a subclass adds what comes before and after."""

    def __init__(self, inner: TaskHandler) -> None:
        self._inner = inner

    @property
    def ends(self) -> bool:
        """Return True if `stop` ends what is at work."""
        return self._inner.ends

    @property
    def tidies(self) -> float:
        """Return the seconds that its end may take beyond those that a handler has to stop."""
        return self._inner.tidies

    def check(self) -> None:
        """Raise BootFailure if no task can be done."""
        self._inner.check()

    def begin(self, claim: Claim) -> None:
        """Start with a task."""
        self._inner.begin(claim)

    def outcome(self) -> Outcome | None:
        """Return what came of it, once."""
        return self._inner.outcome()

    def progress(self) -> str | None:
        """Return what is new of how far it is."""
        return self._inner.progress()

    def printed(self) -> str | None:
        """Return the end of what it has printed so far, if that is new."""
        return self._inner.printed()

    def used(self) -> Usage | None:
        """Return what the task at work has used so far."""
        return self._inner.used()

    def stop(self, why: Why) -> None:
        """Ask it to stop."""
        self._inner.stop(why)

    def turn(self, now: float) -> float | None:
        """Do what has become due; return when there is something to do next."""
        return self._inner.turn(now)

    def close(self) -> None:
        """Leave nothing behind."""
        self._inner.close()


def failure(error: str, log_tail: str = "", *, latency: float = 0.0) -> Outcome:
    """Return a failed attempt; texts are cut to what the store takes."""
    return Outcome(
        FAILED, error=clip(error, ERROR_LIMIT), log_tail=tail_of(log_tail), latency=latency
    )


def clip(text: str, limit: int) -> str:
    """Return the beginning of a text that is too long."""
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def tail_of(text: str) -> str | None:
    """Return the end of a log, in the bytes that the store takes; None: there is none."""
    data = wellformed.text(text).encode()[-LOG_LIMIT:]
    return data.decode("utf-8", "ignore") or None


class PythonHandler:
    """Calls `module:function` with a context and the payload."""

    ends = False
    tidies = 0.0

    def __init__(
        self,
        name: str,
        make_context: Callable[[Claim], TaskContext],
        wake: Callable[[], None],
        printed: PrintedText | None = None,
    ) -> None:
        self._name = name
        self._printed = printed or PrintedText()
        self._printed.on_news = wake
        self._make_context = make_context
        self._wake = wake
        self._function: Callable[[TaskContext, Any], Any] | None = None
        self._waiting: queue.SimpleQueue[tuple[Claim, TaskContext]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._task: TaskContext | None = None
        self._outcome: Outcome | None = None
        self._baseline = ProcessBaseline(os.getcwd())

    def check(self) -> None:
        """Import the function, as it is on the disk now."""
        module, _, function = self._name.partition(":")
        # An edit within the same second could pass for the bytecode that was written before it.
        sys.dont_write_bytecode = True
        try:
            found: Any = importlib.import_module(module)
            for part in function.split("."):
                found = getattr(found, part)
        except BaseException as error:
            raise BootFailure(
                f"The handler {self._name} cannot be imported: {described(error)}",
                hint="Look at handler.python, cwd, and the module itself; then reload.",
            ) from error
        if not callable(found):
            why = f"The handler {self._name} is no function but {type(found).__name__}."
            hint = 'Name a function that takes (context, payload): "package.module:function".'
            raise BootFailure(why, hint=hint)
        self._function = found
        self._baseline = ProcessBaseline(os.getcwd())  # with what the import has set

    def begin(self, claim: Claim) -> None:
        """Give a task to the thread, which starts with the first one."""
        self._outcome = None
        self._task = self._make_context(claim)
        self._printed.begin()
        self._waiting.put((claim, self._task))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="handler", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while True:
            _, task = self._waiting.get()
            self._outcome = replace(self._with_log(self._call(task)), usage=task.used)
            self._tell_threads(task)
            self._wake()

    def _with_log(self, outcome: Outcome) -> Outcome:
        """Return an outcome with what the function has printed before what it raised."""
        printed = self._printed.text()
        between = "" if not printed or printed.endswith("\n") else "\n"
        return replace(outcome, log_tail=tail_of(printed + between + (outcome.log_tail or "")))

    def _tell_threads(self, task: TaskContext) -> None:
        """Log the threads that a task has left: nothing ends them; somebody may look for them."""
        if names := self._baseline.threads_left():
            log.warning("role.threads_left", task=task.task_id, threads=names[:20])

    def _call(self, task: TaskContext) -> Outcome:
        assert self._function is not None
        started = time.monotonic()
        try:
            self._baseline.restore()
        except OSError as error:
            return failure(f"The role's directory cannot be worked in: {error}.")
        worker = os.getpid()
        try:
            result = self._function(task, task.payload)
        except MemoryError as error:
            return failure(
                "The handler ran out of memory: the role's memory limit is what it may use.",
                _lines_of(error),
                latency=time.monotonic() - started,
            )
        except BaseException as error:  # noqa: BLE001 - whatever it was, the worker goes on
            return self._raised(task, error, time.monotonic() - started)
        finally:
            if os.getpid() != worker:  # a fork that came back: it must not do the worker's work
                os._exit(exitcodes.OK if sys.exception() is None else exitcodes.FAILURE)
        return self._returned(result, time.monotonic() - started)

    def _raised(self, task: TaskContext, error: BaseException, latency: float) -> Outcome:
        if task.cancelled.is_set():
            return Outcome(CANCELLED, error=clip(described(error), ERROR_LIMIT), latency=latency)
        lines = _lines_of(error)
        last = "\n".join(lines.splitlines()[-TRACEBACK_LINES:])
        failed = failure(f"{described(error)}\n{last}", lines, latency=latency)
        return replace(failed, unavailable=unavailable_by(error))

    def _returned(self, result: Any, latency: float) -> Outcome:
        try:
            size = len(json.dumps(result, allow_nan=False).encode())
        except (TypeError, ValueError, RecursionError) as error:
            text = f"The handler returned what is no JSON: {error}. Return plain values."
            return failure(text, latency=latency)
        if size > RESULT_LIMIT:
            text = f"The handler returned {size} bytes of JSON; at most {RESULT_LIMIT} are stored."
            return failure(text, latency=latency)
        return Outcome(DONE, result=result, latency=latency)

    def outcome(self) -> Outcome | None:
        """Return what the function has returned or raised, once."""
        found, self._outcome = self._outcome, None
        if found is not None:
            self._task = None
        return found

    def progress(self) -> str | None:
        """Return what the function said since the last time."""
        return self._task.take_progress() if self._task is not None else None

    def printed(self) -> str | None:
        """Return the end of what the function has printed so far, if that is new."""
        return self._printed.fresh()

    def used(self) -> Usage | None:
        """Return what the function said that it used."""
        return self._task.used if self._task is not None else None

    def stop(self, _why: Why) -> None:
        """Tell the function; nothing can make a thread stop, so the loop ends the process."""
        if self._task is not None:
            self._task.cancelled.set()

    def turn(self, _now: float) -> float | None:
        """Return None: nothing is ever due."""
        return None

    def close(self) -> None:
        """Do nothing: a thread leaves nothing behind when its process ends."""


def unavailable_by(error: BaseException) -> Unavailable | None:
    """Return why a function could not do its task; None: it failed at it."""
    if isinstance(error, CandidateUnavailable):
        text = error.message
        fault = faults.of_text(text) or OVERLOADED
        return Unavailable(fault, error.retry_after or faults.retry_after(text))
    fault = faults.of_error(error)
    return Unavailable(fault, faults.retry_after(str(error)), begun=True) if fault else None


def described(error: BaseException) -> str:
    """Return an error's kind and text on one line."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _lines_of(error: BaseException) -> str:
    """Return the traceback below this module: what the handler's author can read."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
