"""What a task leaves running ends with the task, also what has left its group and its session.

Around the handler that does the work. The worker is the subreaper of all that it starts, so that
whoever is left by its parent becomes its child, and can be found.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Collection

from khive_supervisor import logs
from khive_supervisor.host import paths, processes
from khive_supervisor.host.processes import ProcessEntry
from khive_supervisor.tasks.model import Claim, Outcome
from khive_workers.role.handlers import AroundHandler, TaskHandler

log = logs.get("khive.role")

#: Seconds that asking who listens at the supervisor's socket may take.
_ASK = 1.0


class WithoutLeftovers(AroundHandler):
    """The role's handler; a task of it has ended when nothing of it runs any more."""

    def __init__(self, handler: TaskHandler) -> None:
        super().__init__(handler)
        self._kept: set[int] = set()
        self._task: int | None = None

    def begin(self, claim: Claim) -> None:
        """Start with a task; what runs by now, the import of the handler has started for all."""
        if self._task is None:
            self._kept = {one.pid for one in _mine(())} if has_children() else set()
        self._task = claim.id
        self._inner.begin(claim)

    def outcome(self) -> Outcome | None:
        """Return what came of it, once, when nothing of the task is left."""
        found = self._inner.outcome()
        if found is not None:
            self._end()
        return found

    def _end(self) -> None:
        reap(self._kept)
        if not has_children():
            return  # whoever is left is a child of this process
        kept = self._kept | _tracker()
        living = [one for one in _mine(kept) if one.state != "Z"]
        if living:
            kept = kept | _supervisor()
            ended = processes.end_all(lambda: self._look(kept))
            log.info("role.leftovers", task=self._task, ended=ended)
        reap(self._kept)

    def _look(self, kept: Collection[int]) -> list[ProcessEntry]:
        reap(self._kept)
        return _mine(kept)

    def close(self) -> None:
        """Leave nothing behind, the last task's processes included."""
        self._inner.close()
        if self._task is not None:
            self._end()


def has_children() -> bool:
    """Return whether this process has any child, zombies included; 1 µs."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap(kept: Collection[int], at_work: int = 0) -> None:
    """Take in the ends of those that were left to this process; not of those kept or at work."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == at_work or found.si_pid in kept:
            return
        os.waitpid(found.si_pid, 0)


def _mine(spared: Collection[int]) -> list[ProcessEntry]:
    return processes.descendants(processes.table(), os.getpid(), spared)


def _tracker() -> set[int]:
    """Multiprocessing's own helper, which removes what is shared when this process ends."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    pid = getattr(getattr(module, "_resource_tracker", None), "_pid", None)
    return {pid} if isinstance(pid, int) else set()


def _supervisor() -> set[int]:
    """Return a supervisor that an agent's session had to start meanwhile serves everybody."""
    path = paths.env("KHIVE_SOCKET")
    if path is None or sys.platform != "linux":
        return set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_ASK)
        try:
            sock.connect(path)
            data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return set()
    return {struct.unpack("3i", data)[0]}
