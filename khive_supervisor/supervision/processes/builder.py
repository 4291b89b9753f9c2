"""The index builder: one short-lived child at a time, started when there is something to build."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor import logs
from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.child import SINGLE_THREADED, describe_exit
from khive_supervisor.supervision.processes.liveness import HangLimits, LifeVerdict
from khive_supervisor.supervision.processes.pulse import Pulse

log = logs.get("khive.builder")

#: Seconds before a builder that failed is tried again; doubled at each failure, up to the second.
RETRY_AFTER, RETRY_AFTER_MAX = 2.0, 300.0


#: It says how far it is rather than answer. It may wait for the embedder and for the store's lock;
#: at its priority it may wait for a processor for as long as others want one.
LIMITS = HangLimits(stopped=3.0, silent=120.0, busy=float("inf"), suspect=20.0)


@dataclass(slots=True)
class Builder:
    """Runs the builder; used only from the supervisor's loop."""

    module: str
    arguments: Sequence[str]
    environment: dict[str, str]
    on_end: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    progress: dict[str, Any] = field(default_factory=dict)
    failures: int = 0
    last_exit: str = ""
    #: How many were ended because they neither worked nor said anything.
    hung: int = 0
    _pulse: Pulse | None = None
    _process: subprocess.Popen[bytes] | None = None
    _link: socket.socket | None = None
    _not_before: float = 0.0
    _line: bytes = b""

    @property
    def running(self) -> bool:
        """Whether one is at work."""
        return self._process is not None

    def start(self, reason: str, *, force: bool = False) -> bool:
        """Start one unless one runs, or the last failure is too recent; whether it did."""
        if self.running or (self.clock() < self._not_before and not force):
            return False
        ours, theirs = socket.socketpair()
        number = str(theirs.fileno())
        argv = [sys.executable, "-P", "-m", self.module, *self.arguments, "--parent-fd", number]
        self._process = subprocess.Popen(
            argv + (["--force"] if force else []),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            cwd="/",
            env={**SINGLE_THREADED, **self.environment},
        )
        theirs.close()
        self._begin_pulse()
        self._link = ours
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        asyncio.get_running_loop().add_reader(self._process.stdout, self._on_output)
        self.progress = {"event": "started", "reason": reason}
        log.info("builder.started", builder=self._process.pid, reason=reason)
        return True

    def _begin_pulse(self) -> None:
        self._pulse = Pulse(_ask_nothing, self.clock())

    def look(self) -> None:
        """See whether it works or says something; one that hangs is ended, as if it had failed."""
        if self._process is None or self._pulse is None:
            return
        pid = self._process.pid
        if self._pulse.look(pid, self.clock(), LIMITS, starting=True) is LifeVerdict.HUNG:
            seconds = round(self._pulse.unheard, 1)
            log.error("builder.hung", builder=pid, seconds=seconds)
            self.hung += 1
            self._pulse = None
            processes.end_group(pid)

    def _on_output(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            data = os.read(self._process.stdout.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._process.stdout)
            return
        self._begin_pulse()
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            try:
                self.progress = json.loads(line)
            except ValueError:
                log.warning("builder.garbled", text=repr(line[:200]))
                continue
            if self.progress.get("event") != "embedding":
                log.info("builder.progress", step=self.progress)

    def reap(self) -> None:
        """Notice that it has ended; called on SIGCHLD, harmless at any time."""
        if self._process is None or self._process.poll() is None:
            return
        process, self._process = self._process, None
        self._pulse = None
        assert process.stdout is not None
        asyncio.get_running_loop().remove_reader(process.stdout)
        process.stdout.close()
        assert self._link is not None
        self._link.close()
        self.last_exit = describe_exit(process.returncode)
        self._line = b""
        if process.returncode:
            self.failures += 1
            delay = min(RETRY_AFTER_MAX, RETRY_AFTER * 2 ** (self.failures - 1))
            self._not_before = self.clock() + delay
            log.warning("builder.failed", exit=self.last_exit, again_after=delay)
        else:
            self.failures = 0
            log.info("builder.done")
        self.progress = {}
        self.on_end()

    def stop(self) -> None:
        """Tell it to end, by closing its link; what it had written is cleaned by the next one."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it now."""
        if self._process is not None:
            self._process.kill()

    def describe(self) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "running": self.running,
            "pid": self._process.pid if self._process else None,
            "failures": self.failures,
            "hung": self.hung,
            "last_exit": self.last_exit,
            "progress": self.progress,
        }


def _ask_nothing() -> None:
    """It reports by itself."""
