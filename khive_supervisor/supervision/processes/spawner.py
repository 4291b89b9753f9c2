"""Starting workers: what is told of them, and the way that is safe everywhere.

A request carries what the worker is for, and descriptors: for a session the client's stdin, stdout,
stderr and the channel to `attach`; for verbs only the connection itself; for a role the queue.
Descriptors stay the caller's. `zygote` has the other way.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.child import Child, launch

#: What runs a request of a kind, as a fresh interpreter: sessions' own are "attach" and "verbs".
MODULES = {"role": "khive_workers.role"}
SESSION = "khive_workers.session"

#: What a worker is asked to be, as its process reads it.
WorkerRequest = Mapping[str, Any]


class WorkerNews(Protocol):
    """Whoever is told of workers."""

    def worker_began(self, pid: int, request: WorkerRequest) -> None:
        """A process has taken up a request, or one of which this much is told."""

    def worker_exited(self, pid: int, code: int, worker: str) -> None:
        """A process has ended, with a code (negative: a signal); `worker` is "" for a session's."""


class Spawner:
    """Starts each worker as a fresh interpreter: slower and larger, and safe everywhere.

    Attributes:
        how: what `status` calls it.
        children: the children that it needs for that.
    """

    how = "exec"
    children: tuple[Child, ...] = ()

    def __init__(self, news: WorkerNews, environment: Mapping[str, str]) -> None:
        """`news` is told of workers; `environment` is theirs."""
        self._news = news
        self._environment = environment
        self._workers: dict[int, tuple[subprocess.Popen[bytes], str]] = {}

    def spawn(self, request: WorkerRequest, fds: Sequence[int]) -> None:
        """Start one worker that owns copies of the descriptors.

        Raises:
            KhiveError, OSError: that is impossible now.
        """
        module = MODULES.get(str(request.get("kind")), SESSION)
        arguments = ["--fds", ",".join(str(fd) for fd in fds)]
        # A file, since a pipe that is full would make the supervisor wait for the worker.
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.seek(0)
            process = launch(module, arguments, self._environment, fds, stdin=file)
        self._workers[process.pid] = process, str(request.get("worker", ""))
        self._news.worker_began(process.pid, request)

    def reap(self) -> None:
        """Forget workers that have ended."""
        for pid, (process, worker) in list(self._workers.items()):
            if process.poll() is not None:
                del self._workers[pid]
                self._news.worker_exited(pid, process.returncode, worker)

    def look(self) -> None:
        """See to requests that wait for long; here, none does."""

    def configure(self, config: Config) -> None:
        """Start workers by another configuration: here, each reads it in the environment.

        Raises:
            ConfigError: it is too long to be passed on; nothing was changed.
        """

    def close(self) -> None:
        """Let go of what is held: nothing, here."""
