"""A supervised child: started by exec, ready when it says so, restarted by policy.

Each child holds one end of a socket pair. It writes `ready` to it; its end tells the child that
the supervisor is gone, however that happened.
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
from khive_supervisor.supervision.restart import (
    History,
    RestartPolicy,
    State,
    after_death,
    change,
)

log = logs.get("khive.children")
_JITTER = random.SystemRandom()

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
    state: State = State.STOPPED
    restarts: int = 0
    last_exit: str = ""
    #: Why it could not be started, or the last line that it said outside of the log.
    last_words: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _process: subprocess.Popen[bytes] | None = None
    _link: socket.socket | None = None
    _history: History = field(default_factory=History)
    _timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it (from STOPPED, BACKOFF or FATAL)."""
        self.state = change(self.state, State.STARTING)
        self.stopped.clear()
        try:
            self._process, self._link = self._launch()
        except OSError as error:  # no process or descriptor is to be had: later, perhaps
            log.error("child.not_started", child=self.name, error=str(error))
            self.last_words = str(error)
            self.state = change(self.state, State.BACKOFF)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.policy.backoff_max, self._restart)
            return
        asyncio.get_running_loop().add_reader(self._link, self._on_link)
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
        elif self.state is State.STARTING:
            self.state = change(self.state, State.READY)
            log.info("child.ready", child=self.name, child_pid=self.pid)
            self.last_words = ""
            self.ready.set()
            if self.on_ready:
                self.on_ready()

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
        self._drop_link()
        self.ready.clear()
        if self.state is State.STOPPING:
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
            self.state = change(self.state, State.FATAL)
            log.error("child.gave_up", child=self.name, why=verdict.reason)
            return
        self.state = change(self.state, State.BACKOFF)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, verdict.at - self.clock()), self._restart)

    def _restart(self) -> None:
        self._timer = None
        self.restarts += 1
        self.start()

    def stop(self) -> None:
        """Ask it to end; `stopped` is set when it has."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._process is None:
            if self.state is not State.STOPPED:
                self._become_stopped()
            return
        if self.state is not State.STOPPING:
            self.state = change(self.state, State.STOPPING)
        self._drop_link()
        self._process.terminate()

    def kill(self) -> None:
        """End it, and what it started, now."""
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return  # it ended by itself in between

    def _become_stopped(self) -> None:
        self.state = change(self.state, State.STOPPED)
        self.stopped.set()

    def describe(self) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "name": self.name,
            "state": self.state.value,
            "pid": self.pid,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
        }


def describe_exit(code: int) -> str:
    """An exit code or signal, for people."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
