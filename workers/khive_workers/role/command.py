"""A role's command: started for each task in a process group of its own, and ended with all of it.

Each group has a guard: a small shell that waits for the worker's end and then kills the group, so
that nothing goes on when a worker, or everything, is killed.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from khive_supervisor import logs
from khive_supervisor.budgets.pricing import PriceList
from khive_supervisor.budgets.usage import usage_in
from khive_supervisor.errors import BootFailure, InvalidInput
from khive_supervisor.routing import faults
from khive_supervisor.routing.model import NO_PROGRAM, OVERLOADED, Unavailable
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    LOG_LIMIT,
    RESULT_LIMIT,
    Claim,
    Outcome,
    Usage,
)
from khive_workers.role.handlers import Why, failure, tail_of
from khive_workers.role.leftovers import reap
from khive_workers.role.output import SHOWN, Bounded

log = logs.get("khive.role")

#: Seconds between asking a command to end and ending it.
GRACE = 5.0
#: Bytes taken from a pipe at a time.
CHUNK = 1 << 16
#: Bytes of what a command prints: of its result, beginning and end, and of its errors' end.
#: As JSON, text may become six times as long.
HEAD, TAIL = RESULT_LIMIT // 8, RESULT_LIMIT // 32
#: Lines of the errors that become part of a failure's text.
ERROR_LINES = 8
#: Exits with these say "trying again cannot help", and "it could not begin, and changed nothing".
PERMANENT, NOT_BEGUN = 125, 75

#: Variables of the worker's own that a command must not inherit.
_OURS = frozenset(
    {
        "KHIVE_RESOLVED_CONFIG", "MALLOC_MMAP_THRESHOLD_",
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    }
)  # fmt: skip

#: Limits the memory ($1, in KiB; 0: no limit), leaves a guard in the group that waits for the end
#: of stdin, and becomes the command, which reads the task from the file $2.
#: The guard is nobody's child, so that a command that waits for its children never waits for it.
_LAUNCH = """
[ "$1" = 0 ] || ulimit -v "$1" || exit 125
task=$2
shift 2
exec 9<&0
( ( trap '' HUP INT TERM; read -r _; kill -KILL 0 ) <&9 >/dev/null 2>&1 & )
exec 9<&- <"$task"
exec "$@"
"""


#: Variables that a task's command gets beside those of every task.
Variables = Callable[[Claim], Mapping[str, str]]


class CommandHandler:
    """Runs a command with the task on its stdin; what it prints is the result."""

    ends = True
    #: Seconds beyond the grace that its end may take.
    tidies = 0.0
    #: What the key of the configuration is called, and bytes of the output that are kept.
    _what = "command"
    _kept_bytes = (HEAD, TAIL)
    #: Whether whoever is left by its parent becomes this process's child, and is its to take in.
    adopts = False

    def __init__(
        self,
        argv: tuple[str, ...],
        *,
        cwd: str,
        memory: int,
        environment: Mapping[str, str],
        selector: selectors.BaseSelector,
        clock: Callable[[], float] = time.monotonic,
        variables: Variables = lambda _claim: {},
        prices: PriceList | None = None,
    ) -> None:
        self._argv = argv
        self._prices = prices or PriceList()
        self._variables = variables
        self._cwd = cwd
        self._memory = memory
        self._environment = {n: v for n, v in environment.items() if n not in _OURS}
        self._selector = selector
        self._clock = clock
        #: Ends with this process, however it ends: what the guards wait for.
        self._guard, self._alive = os.pipe()
        self._process: subprocess.Popen[bytes] | None = None
        self._refused: Outcome | None = None
        self._output = Bounded(*self._kept_bytes)
        self._errors = Bounded(0, LOG_LIMIT)
        #: Bytes of both, of which was told while it works.
        self._told = 0
        self._started = 0.0
        self._why: Why | None = None
        self._kill_at: float | None = None

    def check(self) -> None:
        """Find the program; raise BootFailure if there is none."""
        program = self._argv[0]
        path = self._environment.get("PATH")
        if os.sep in program:
            found = shutil.which(os.path.join(self._cwd, os.path.expanduser(program)))
        else:
            found = shutil.which(program, path=path)
        if found is None:
            raise BootFailure(
                f"The {self._what} {program!r} does not exist or cannot be run.",
                hint=f"Install it, or name it with its whole path; PATH is {path!r}.",
            )
        self._program = found

    # --- one task -------------------------------------------------------------------------------

    def begin(self, claim: Claim) -> None:
        """Start the command with the task as JSON on its stdin."""
        self._why = self._kill_at = self._refused = None
        self._started = self._clock()
        self._start(claim, self._argv[1:], _task_as_json(claim))

    def _start(self, claim: Claim, arguments: Sequence[str], stdin: bytes) -> None:
        """Start the program; the outcome says it if that is impossible."""
        self._output, self._errors = Bounded(*self._kept_bytes), Bounded(0, LOG_LIMIT)
        self._told = 0
        try:
            # A file, since a pipe that is full would make this process wait for the command.
            with tempfile.TemporaryFile(buffering=0) as task:
                task.write(stdin)
                task.seek(0)
                self._process = self._launch(claim, arguments, task.fileno())
        except OSError as error:
            refused = failure(f"The {self._what} could not be started: {error}.")
            self._refused = replace(refused, unavailable=Unavailable(NO_PROGRAM))
            return
        for pipe, kept in (
            (self._process.stdout, self._output),
            (self._process.stderr, self._errors),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, self._reader(pipe, kept))

    def _launch(self, claim: Claim, arguments: Sequence[str], task: int) -> subprocess.Popen[bytes]:
        launch = ["/bin/sh", "-c", _LAUNCH, "sh", str(self._memory // 1024), f"/dev/fd/{task}"]
        return subprocess.Popen(
            [*launch, self._program, *arguments],
            stdin=self._guard,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=claim.directory or self._cwd,
            env={
                **self._environment,
                "KHIVE_TASK_ID": str(claim.id),
                "KHIVE_TASK_ATTEMPT": str(claim.attempts),
                "KHIVE_ROLE": claim.role,
                **({"KHIVE_NAMESPACE": claim.namespace} if claim.namespace else {}),
                **({"KHIVE_HISTORY": claim.history} if claim.history else {}),
                **self._variables(claim),
            },
            pass_fds=(task,),
            start_new_session=True,
        )

    def _reader(self, pipe: IO[bytes], kept: Bounded) -> Callable[[], None]:
        def read() -> None:
            if not _take(pipe, kept):
                self._selector.unregister(pipe)

        return read

    def outcome(self) -> Outcome | None:
        """Return what came of it, once the command has ended, whoever still has its output open."""
        if self._refused is not None:
            refused, self._refused = self._refused, None
            return refused
        process = self._process
        if process is None:
            return None
        if not _ended(process.pid):
            if self.adopts:
                reap((), process.pid)
            return None
        self._end_group()  # before it is reaped: until then, nobody else can have its number
        process.wait()
        for pipe, kept in ((process.stdout, self._output), (process.stderr, self._errors)):
            assert pipe is not None
            while _take(pipe, kept, last=True):
                pass
            if pipe in {key.fileobj for key in self._selector.get_map().values()}:
                self._selector.unregister(pipe)
            pipe.close()
        self._process = None
        outcome = self._judge(process.returncode)
        if outcome is None or outcome.usage is not None:
            return outcome
        return replace(outcome, usage=self._said_to_be_used(outcome))

    def _said_to_be_used(self, outcome: Outcome) -> Usage | None:
        """What the command says that it used, also if it failed; nonsense is told, not counted."""
        try:
            said = usage_in(outcome.result if outcome.state == DONE else _result(self._output))
            return None if said is None else self._prices.priced(said)
        except InvalidInput as error:
            log.warning("role.usage_ignored", error=str(error))
            return None

    def _judge(self, code: int) -> Outcome | None:
        """Return what came of it; None: it was started once more."""
        latency = self._clock() - self._started
        log_tail = tail_of(self._errors.text())
        if self._why is Why.CANCELLED:
            return Outcome(CANCELLED, error="cancelled", log_tail=log_tail, latency=latency)
        if code == 0:
            return Outcome(DONE, result=_result(self._output), log_tail=log_tail, latency=latency)
        lines = (log_tail or self._output.text()).strip().splitlines()[-ERROR_LINES:]
        text = "\n".join((_how(code, self._memory, "\n".join(lines)), *lines))
        outcome = failure(text, log_tail or "", latency=latency)
        if code == NOT_BEGUN:
            why = Unavailable(faults.of_text(text) or OVERLOADED, faults.retry_after(text))
            return replace(outcome, unavailable=why)
        return replace(outcome, final=True) if code == PERMANENT else outcome

    def progress(self) -> str | None:
        """Return a command says nothing by itself: it may call the verb."""
        return None

    def printed(self) -> str | None:
        """Return the end of its errors' whole lines, or else of its output's, if there are more."""
        total = self._output.total + self._errors.total
        if total == self._told:
            return None
        self._told = total
        lines = self._errors.end(SHOWN) if self._errors.total else self._output.end(SHOWN)
        return lines or None

    def used(self) -> Usage | None:
        """Return a command says it at its end."""
        return None

    def stop(self, why: Why) -> None:
        """Ask the whole group to end, and end it after a while."""
        if self._process is None or self._why is not None:
            return
        self._why = why
        self._signal(signal.SIGTERM)
        self._kill_at = self._clock() + GRACE

    def turn(self, now: float) -> float | None:
        """End a group that did not end by itself."""
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._end_group()
        return self._kill_at

    def close(self) -> None:
        """End what is at work."""
        if self._process is not None:
            self._end_group()
            self._process.wait()
            self._process = None
        if self._alive >= 0:
            os.close(self._alive)
            os.close(self._guard)
            self._alive = -1

    def _end_group(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # macOS says the latter of a group of zombies


def _task_as_json(claim: Claim) -> bytes:
    task = {
        "task_id": claim.id,
        "role": claim.role,
        "task_type": claim.task_type,
        "attempt": claim.attempts,
        "namespace": claim.namespace,
        "payload": claim.payload,
        **({"history": claim.history} if claim.history else {}),
    }
    return json.dumps(task).encode() + b"\n"


def _take(pipe: IO[bytes], kept: Bounded, *, last: bool = False) -> bool:
    """Read once; False at the end (or, at `last`, when nothing more is there)."""
    try:
        data = os.read(pipe.fileno(), CHUNK)
    except BlockingIOError:
        return not last
    kept.add(data)
    return bool(data)


def _ended(pid: int) -> bool:
    """Return True if a child has ended, without reaping it."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return found is not None


def _result(output: Bounded) -> Any:
    """JSON if it is that, else the text."""
    text = output.text()
    if not output.cut:
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return text.rstrip("\n")
    return text.rstrip("\n")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


#: What programs say that could get no more memory.
_NO_MEMORY = ("MemoryError", "bad_alloc", "ut of memory", "annot allocate memory", "heap limit")


def _how(code: int, memory: int, said: str) -> str:
    """Return a failure in words."""
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    if memory and any(word in said for word in _NO_MEMORY):
        return f"The command ran out of memory ({how}): the role allows {memory >> 20} MiB."
    limited = f"; the role allows it {memory >> 20} MiB of memory" if memory else ""
    return f"The command failed with {how}{limited}."
