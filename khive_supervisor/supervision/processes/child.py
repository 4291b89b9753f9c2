"""A supervised child: started by exec, ready when it says so, restarted by policy.

Each child holds one end of a socket pair. It writes `ready` to it, and answers when it is asked
whether it lives; its end tells the child that the supervisor is gone, however that happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, ClassVar

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.process import PING, ProcessLink, SupervisedProcess
from khive_supervisor.supervision.processes.restart import (
    AGAIN_AFTER,
    AGAIN_AT_LEAST,
    Deaths,
    RestartPolicy,
    after_death,
)
from khive_supervisor.supervision.processes.states import ProcessEvent, ProcessState, ShownState
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.children")
_JITTER = random.SystemRandom()

#: A child that starts owes its first word: it imports, and loads a model.
STARTING = HangLimits(silent=60.0, busy=300.0, suspect=20.0)
#: Libraries that start a thread per core unless told: one thread each, we have many processes.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
#: Characters of a line that are kept.
_LINE = 1000


class ChildStatus(ShownState):
    """What `status` shows of a child."""

    name: str
    pid: int | None
    restarts: int
    hung: int
    last_exit: str
    problem: str


@dataclass(slots=True, eq=False)
class Child(SupervisedProcess):
    """One long-lived child and its state; used only from the supervisor's loop.

    Attributes:
        channels: opens the descriptors that a start passes on as `--NAME-fd N` arguments.
        on_ready: called when it is ready.
        on_exit: called when its process has ended, before anything follows from that.
        on_silence: called when it begins to be overdue with an answer.
        starting: how long it may take until it is ready; it owes that word.
        last_words: why it could not be started, or the last line that it said outside of the log.
        reports: whether it says on its stdout how far it is.
        files: what it makes where others look for it, and removes at its end unless it is killed.
    """

    reports: ClassVar[bool] = False
    name: str
    module: str
    policy: RestartPolicy
    environment: Mapping[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    files: Sequence[str] = ()
    channels: Callable[[], dict[str, socket.socket]] = dict
    on_ready: Callable[[], None] = lambda: None
    on_exit: Callable[[], None] = lambda: None
    on_silence: Callable[[], object] = lambda: None
    starting: HangLimits = STARTING
    limits: HangLimits = field(default_factory=HangLimits)
    restarts: int = 0
    last_exit: str = ""
    last_words: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _link: ProcessLink | None = None
    _deaths: Deaths = ()
    _timer: asyncio.TimerHandle | None = None
    _tried_at: float = 0.0

    # --- its start ------------------------------------------------------------------------------

    def configure(self, config: Config) -> None:
        """Go by another restart policy from the next death on."""
        self.policy = RestartPolicy.of(config)

    def start(self) -> None:
        """Start it (from STOPPED, BACKOFF or FATAL)."""
        self.stopped.clear()
        self._tried_at = self.clock()
        self.begin()
        try:
            self._process = self._launch()
        except OSError as error:  # no process or descriptor is to be had: later, perhaps
            log.error("child.not_started", child=self.name, error=str(error))
            self.last_words = str(error)
            self.over(ProcessEvent.DIED)
            self._again_in(self.policy.backoff_max)
            return
        self.pid = self._process.pid
        for pipe, take in (
            (self._process.stdout, self._report),
            (self._process.stderr, self._complain),
        ):
            if pipe is not None:
                read_lines(pipe, take)
        log.info("child.started", child=self.name, child_pid=self.pid)

    def _launch(self) -> subprocess.Popen[bytes]:
        self._link = ProcessLink(self._take)
        channels = {"parent": self._link.theirs}
        try:
            channels |= self.channels()
            passed = {name: channel.fileno() for name, channel in channels.items()}
            named = [word for name, fd in passed.items() for word in (f"--{name}-fd", str(fd))]
            return launch(
                self.module,
                [*self.arguments, *named],
                self.environment,
                passed.values(),
                stdout=subprocess.PIPE if self.reports else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError:
            self._link.close()
            raise
        finally:
            for channel in channels.values():
                channel.close()

    def _report(self, line: bytes) -> None:
        """Take a line of its stdout, which is a word as well as an answer would be."""
        self.heard()
        try:
            self.reported(dict(json.loads(line)))
        except (ValueError, TypeError):
            log.warning("child.garbled", child=self.name, text=repr(line[:200]))

    def reported(self, said: JsonObject) -> None:
        """It has said how far it is."""

    def _complain(self, line: bytes) -> None:
        """Log what it says outside of its log: a traceback, a C library."""
        text = line.decode("utf-8", "replace")[:_LINE]
        log.warning("child.stderr", child=self.name, text=text)
        self.last_words = text

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self.heard()
        if self.state is ProcessState.STARTING:
            self.step(ProcessEvent.READY)
            log.info("child.ready", child=self.name, child_pid=self.pid)
            self.last_words = ""
            self.ready.set()
            self.on_ready()

    # --- its answers ----------------------------------------------------------------------------

    def ask(self) -> None:
        """Ask whether it lives, over its link."""
        if self._link is not None and not self._link.send(PING):
            log.debug("child.not_asked", child=self.name)  # it reads nothing, or has just ended

    def look(self) -> None:
        """See whether it answers; one that hangs is ended, and started again like one that died."""
        starts = self.state is ProcessState.STARTING
        if not starts and self.state is not ProcessState.READY:
            return
        was_well = self.well
        hangs = self.hangs(self.starting if starts else self.limits, owes=starts)
        if was_well and not self.well:
            self.on_silence()
        if hangs:
            seconds = self.unheard
            log.error("child.hung", child=self.name, child_pid=self.pid, seconds=seconds)
            self.last_words = f"replaced, since it did not answer for {seconds:g} s"

    # --- its end --------------------------------------------------------------------------------

    def reap(self) -> None:
        """Notice that the process has ended; called on SIGCHLD, harmless at any time."""
        if self._process is None or self._process.poll() is None:
            return
        process, self._process = self._process, None
        self.last_exit = describe_exit(process.returncode)
        self._close_link()
        self.on_exit()
        self.ready.clear()
        if self.state is ProcessState.STOPPING:
            self.over(ProcessEvent.ENDED)
            self.stopped.set()
        else:
            self._died(process.pid, process.returncode)

    def _died(self, pid: int, code: int) -> None:
        """Decide what follows an end that nobody has asked for."""
        verdict = after_death(
            self.policy, self._deaths, now=self.clock(), code=code, jitter=_JITTER.random()
        )
        self._deaths = verdict.deaths
        log.warning(
            "child.died", child=self.name, child_pid=pid, exit=self.last_exit, next=verdict.reason
        )
        if verdict.at is None:
            self.over(ProcessEvent.GAVE_UP)
            log.error("child.gave_up", child=self.name, why=verdict.reason, again_after=AGAIN_AFTER)
            self._again_in(AGAIN_AFTER)
        else:
            self.over(ProcessEvent.DIED)
            self._again_in(verdict.at - self.clock())

    def _again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, seconds), self._restart)

    def _restart(self) -> None:
        self._cancel_timer()
        self.restarts += 1
        self.start()

    def try_again(self) -> None:
        """Somebody needs it: if it was given up, start it now unless that was just tried."""
        if self.state is ProcessState.FATAL and self.clock() - self._tried_at >= AGAIN_AT_LEAST:
            self._restart()

    def stop(self) -> None:
        """Ask it to end; `stopped` is set when it has."""
        self._cancel_timer()
        self.step(ProcessEvent.TOLD)
        if self._process is None:
            self.stopped.set()
            return
        self._close_link()
        self._process.terminate()

    def clear(self) -> None:
        """Remove the files that it has left; it has ended, and nobody else may have made them."""
        for path in self.files:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _close_link(self) -> None:
        if self._link is not None:
            self._link.close()

    def describe(self) -> ChildStatus:
        """Return what `status` shows."""
        well = self.state is ProcessState.READY
        return {
            "name": self.name,
            "pid": self.pid,
            "restarts": self.restarts,
            "hung": self.hung,
            "last_exit": self.last_exit,
            "problem": "" if well else self.last_words or self.last_exit,
            **self.shown(self.state.value),
        }


def launch(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    descriptors: Iterable[int],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Return a process that runs a module, and leads a session of its own.

    Raises:
        OSError: no process or descriptor is to be had.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(descriptors),
        start_new_session=True,
        cwd="/",  # the one that the supervisor was started in may go away
        env={**SINGLE_THREADED, **environment},
    )


def read_lines(pipe: IO[bytes], take: Callable[[bytes], None]) -> None:
    """Hand on each line of a pipe that a process writes to, until it has ended."""
    os.set_blocking(pipe.fileno(), False)
    loop = asyncio.get_running_loop()
    rest = b""

    def read() -> None:
        nonlocal rest
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            loop.remove_reader(pipe)
            pipe.close()
        *lines, rest = (rest + (data or b"\n")).split(b"\n")
        for line in filter(None, lines):
            take(line)

    loop.add_reader(pipe, read)


def describe_exit(code: int) -> str:
    """Return an exit code or signal, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
