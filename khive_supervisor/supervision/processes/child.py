"""A supervised child: started by exec, ready when it says so, restarted by policy.

Each child holds one end of a socket pair. It writes `ready` to it, and answers when it is asked
whether it lives; its end tells the child that the supervisor is gone, however that happened.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.liveness import HangLimits, LifeVerdict
from khive_supervisor.supervision.processes.pulse import PING, Pulse
from khive_supervisor.supervision.processes.restart import (
    AGAIN_AFTER,
    AGAIN_AT_LEAST,
    ChildState,
    History,
    RestartPolicy,
    after_death,
    change,
)

log = logs.get("khive.children")
_JITTER = random.SystemRandom()

#: A child that starts owes its first word: it imports, and loads a model.
STARTING = HangLimits(stopped=3.0, silent=60.0, busy=300.0, suspect=20.0)

#: Libraries that start a thread per core unless told: one thread each, we have many processes.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(slots=True)
class Child:
    """One long-lived child and its state; used only from the supervisor's loop."""

    name: str
    module: str
    arguments: Sequence[str]
    policy: RestartPolicy
    on_ready: Callable[[], None] | None = None
    #: Descriptors that a start passes on; the names become `--NAME-fd N` arguments.
    open_channels: Callable[[], dict[str, socket.socket]] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    state: ChildState = ChildState.STOPPED
    restarts: int = 0
    #: How often it was replaced because it did not answer.
    hung: int = 0
    limits: HangLimits = field(default_factory=HangLimits)
    #: Called when its process has ended, before anything follows from that.
    on_exit: Callable[[], None] | None = None
    last_exit: str = ""
    #: Why it could not be started, or the last line that it said outside of the log.
    last_words: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _link: socket.socket | None = None
    _history: History = field(default_factory=History)
    _timer: asyncio.TimerHandle | None = None
    _pulse: Pulse | None = None
    _tried_at: float = 0.0

    @property
    def well(self) -> bool:
        """Return false while it is overdue with an answer; what does not run owes none."""
        pulse = self._pulse
        return pulse is None or pulse.verdict in (LifeVerdict.ALIVE, LifeVerdict.SLOW)

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._process.pid if self._process else None

    def configure(self, config: Config) -> None:
        """Go by another restart policy from the next death on."""
        self.policy = RestartPolicy.of(config)

    def start(self) -> None:
        """Start it (from STOPPED, BACKOFF or FATAL)."""
        self.state = change(self.state, ChildState.STARTING)
        self.stopped.clear()
        self._tried_at = self.clock()
        try:
            self._process, self._link = self._launch()
        except OSError as error:  # no process or descriptor is to be had: later, perhaps
            log.error("child.not_started", child=self.name, error=str(error))
            self.last_words = str(error)
            self.state = change(self.state, ChildState.BACKOFF)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.policy.backoff_max, self._restart)
            return
        asyncio.get_running_loop().add_reader(self._link, self._on_link)
        self._pulse = Pulse(self._ask, self.clock())
        self._follow_stderr(self._process)
        log.info("child.started", child=self.name, child_pid=self._process.pid)

    def _launch(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """The process, and our end of its link."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        channels = {"parent": theirs}
        argv = [sys.executable, "-P", "-m", self.module, *self.arguments]
        try:
            channels |= self.open_channels() if self.open_channels else {}
            for name, channel in channels.items():
                argv += [f"--{name}-fd", str(channel.fileno())]
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[channel.fileno() for channel in channels.values()],
                start_new_session=True,
                cwd="/",  # the one that it was started in may go away
                env={**SINGLE_THREADED, **self.environment},
            )
        except OSError:
            ours.close()
            raise
        finally:
            for channel in channels.values():
                channel.close()
        return process, ours

    def _follow_stderr(self, process: subprocess.Popen[bytes]) -> None:
        """What a child says outside of its log (a traceback, a C library) goes to the log, too."""
        assert process.stderr is not None
        pipe = process.stderr
        os.set_blocking(pipe.fileno(), False)
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                data = os.read(pipe.fileno(), 16384)
            except BlockingIOError:
                return
            if not data:
                loop.remove_reader(pipe)
                pipe.close()
                return
            for line in data.decode("utf-8", "replace").splitlines():
                log.warning("child.stderr", child=self.name, text=line[:1000])
                self.last_words = line[:1000]

        loop.add_reader(pipe, read)

    def _on_link(self) -> None:
        assert self._link is not None
        try:
            data = self._link.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop_link()
            return
        if self._pulse is not None:
            self._pulse.answered()
        if self.state is ChildState.STARTING:
            self.state = change(self.state, ChildState.READY)
            log.info("child.ready", child=self.name, child_pid=self.pid)
            self.last_words = ""
            self.ready.set()
            if self.on_ready:
                self.on_ready()

    # --- its answers --------------------------------------------------------------------------

    def _ask(self) -> None:
        if self._link is not None:
            try:
                self._link.send(PING)
            except OSError as error:  # it reads nothing, or has just ended
                log.debug("child.not_asked", child=self.name, error=str(error))

    def look(self) -> None:
        """See whether it answers; one that hangs is ended, and started again like one that died."""
        if self._pulse is None or self.state not in (ChildState.STARTING, ChildState.READY):
            return
        assert self._process is not None
        starts = self.state is ChildState.STARTING
        limits = STARTING if starts else self.limits
        verdict = self._pulse.look(self._process.pid, self.clock(), limits, starting=starts)
        if verdict is not LifeVerdict.HUNG:
            return
        seconds = round(self._pulse.unheard, 1)
        log.error("child.hung", child=self.name, child_pid=self.pid, seconds=seconds)
        self.hung += 1
        self.last_words = f"replaced, since it did not answer for {seconds:g} s"
        self._pulse = None  # once is enough: where a signal cannot reach it, another does not
        self.kill()

    def try_again(self) -> None:
        """Somebody needs it: if it was given up, start it now unless that was just tried."""
        if self.state is ChildState.FATAL and self.clock() - self._tried_at >= AGAIN_AT_LEAST:
            self._cancel_timer()
            self._restart()

    def _drop_link(self) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link)
            self._link.close()
            self._link = None

    def reap(self) -> None:
        """Notice that the process has ended; called on SIGCHLD, harmless at any time."""
        if self._process is None or self._process.poll() is None:
            return
        code = self._process.returncode
        self.last_exit = describe_exit(code)
        pid, self._process = self._process.pid, None
        self._pulse = None
        self._drop_link()
        if self.on_exit:
            self.on_exit()
        self.ready.clear()
        if self.state is ChildState.STOPPING:
            self._become_stopped()
            return
        verdict = after_death(
            self.policy, self._history, now=self.clock(), code=code, jitter=_JITTER.random()
        )
        self._history = verdict.history
        log.warning(
            "child.died", child=self.name, child_pid=pid, exit=self.last_exit, next=verdict.reason
        )
        if verdict.at is None:
            self.state = change(self.state, ChildState.FATAL)
            log.error("child.gave_up", child=self.name, why=verdict.reason, again_after=AGAIN_AFTER)
            self._timer = asyncio.get_running_loop().call_later(AGAIN_AFTER, self._restart)
            return
        self.state = change(self.state, ChildState.BACKOFF)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, verdict.at - self.clock()), self._restart)

    def _restart(self) -> None:
        self._timer = None
        self.restarts += 1
        self.start()

    def stop(self) -> None:
        """Ask it to end; `stopped` is set when it has."""
        self._cancel_timer()
        if self._process is None:
            if self.state is not ChildState.STOPPED:
                self._become_stopped()
            return
        if self.state is not ChildState.STOPPING:
            self.state = change(self.state, ChildState.STOPPING)
        self._drop_link()
        self._process.terminate()

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def kill(self) -> None:
        """End it, and what it started, now."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # it ended by itself in between

    def _become_stopped(self) -> None:
        self.state = change(self.state, ChildState.STOPPED)
        self.stopped.set()

    def describe(self) -> dict[str, Any]:
        """What `status` shows."""
        state = self.state.value
        return {
            "name": self.name,
            "pid": self.pid,
            "restarts": self.restarts,
            "hung": self.hung,
            "last_exit": self.last_exit,
            "problem": "" if self.state is ChildState.READY else self.last_words or self.last_exit,
            **(self._pulse.describe(state) if self._pulse else {"state": state}),
        }


def describe_exit(code: int) -> str:
    """An exit code or signal, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
