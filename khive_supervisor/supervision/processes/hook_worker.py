"""The worker of hooks: one that is kept, with store, index and embedder open, from hook to hook.

A client waits for each hook. A fresh worker takes 4 ms to open the store, and its first search five
times as long as the next one. So the worker of a hook stays when that is over, and is handed the
next ones over a channel, one at a time, each with the grant that was decided for it. While it is at
work, and where there is none, a hook gets a worker of its own, as any command does.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Sequence

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.process import ProcessLink
from khive_supervisor.supervision.processes.spawner import Spawner, WorkerRequest

log = logs.get("khive.spawner")

#: Seconds without a hook after which it is let go of.
KEPT = 600.0
#: Hooks that one serves, so that whatever it gathers is bounded.
MOST_HOOKS = 1000
#: Bytes of one request; well below a sequenced packet's limit (208 KiB on Linux).
MAX_REQUEST = 128 * 1024


class HookWorker:
    """Hands hooks to the kept worker, or to the spawner; used only from the supervisor's loop."""

    def __init__(self, spawner: Spawner, clock: Callable[[], float]) -> None:
        """`spawner` starts it, and workers for what it cannot take; `clock` is monotonic."""
        self._spawner = spawner
        self._clock = clock
        self._channel: ProcessLink | None = None
        self._free_since: float | None = None
        self._given = 0

    @property
    def kept(self) -> bool:
        """Return True while there is one."""
        return self._channel is not None

    def spawn(self, request: WorkerRequest, fds: Sequence[int]) -> None:
        """Have a hook served; as `Spawner.spawn`, which says what it raises."""
        if self._channel is None:
            self._begin(request, fds)
        elif not self._hand_over(request, fds):
            self._spawner.spawn(request, fds)

    def _begin(self, request: WorkerRequest, fds: Sequence[int]) -> None:
        """Start one that serves this hook first."""
        try:
            channel = ProcessLink(self._take, kind=socket.SOCK_SEQPACKET)
        except OSError:  # not Linux, or no descriptors: a worker for this one alone
            self._spawner.spawn(request, fds)
            return
        with channel.theirs:
            try:
                self._spawner.spawn(request, [*fds, channel.theirs.fileno()])
            except BaseException:
                channel.close()
                raise
        self._channel, self._free_since, self._given = channel, None, 1

    def _hand_over(self, request: WorkerRequest, fds: Sequence[int]) -> bool:
        """Return True if the worker has got a hook."""
        data = json.dumps(request).encode()
        if self._channel is None or self._free_since is None or len(data) > MAX_REQUEST:
            return False
        if not self._channel.send(data, fds):  # it has ended
            self.end()
            return False
        self._free_since = None
        self._given += 1
        return True

    def _take(self, data: bytes) -> None:
        """Take in that it is free again, or has ended."""
        if not data or self._given >= MOST_HOOKS:
            self.end()
        else:
            self._free_since = self._clock()

    def look(self) -> None:
        """Let go of it when no hook has come for long."""
        if self._free_since is not None and self._clock() - self._free_since >= KEPT:
            self.end()

    def configure(self, _config: Config) -> None:
        """Let go of it: it has the old configuration."""
        self.end()

    def end(self) -> None:
        """Let go of it; it ends when it has done what it is at."""
        if self._channel is not None:
            self._channel.close()
            self._channel, self._free_since = None, None
