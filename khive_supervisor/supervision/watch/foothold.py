"""What the supervisor stands on: its socket's file and its lock's, which anybody may remove.

Each look compares what others would find with what is ours, by device and inode. A socket that is
gone is bound again, its directory made anew. A lock that is gone is taken again; if another
supervisor has taken it meanwhile, this one yields: it ends as if it was told to, and its sessions
go on with the other one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import holder

log = logs.get("khive.foothold")


class Act(Enum):
    """What a look asks for."""

    TAKE_LOCK = "take the lock again"
    BIND = "bind the socket again"
    RENEW_EMBEDDER = "start the embedder again"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look has found.

    Attributes:
        lock: whether the lock that others would find is ours.
        socket: the same of the socket.
        embedder: whether the embedder's socket is there, or not to be expected.
    """

    lock: bool
    socket: bool
    embedder: bool = True


def decide(before: Seen, now: Seen) -> tuple[Act, ...]:
    """What is to be done after two looks, in this order.

    The lock and the socket at once. The embedder removes its own socket when it ends, so it is
    missed only when it was missed before.
    """
    acts = [] if now.lock else [Act.TAKE_LOCK]
    acts += [] if now.socket else [Act.BIND]
    acts += [] if before.embedder or now.embedder else [Act.RENEW_EMBEDDER]
    return tuple(acts)


class Lock(Protocol):
    """The store's lock; see `lock.StoreLock`."""

    store: str

    def missing(self) -> bool:
        """Return whether others would find another one."""

    def take_again(self) -> bool:
        """Hold the one that others find; whether that worked."""


@dataclass(slots=True)
class Foothold:
    """Looks, and does what is to be done; used only from the supervisor's loop.

    Attributes:
        lock: the store's lock.
        socket_missing: whether others would find another socket.
        bind: binds the socket again, with what lies beside it; raises KhiveError or OSError.
        embedder_missing: whether a socket of the embedder is due and not there.
        renew_embedder: ends the embedder, which is started again.
        yield_to: ends this supervisor, for a reason.
    """

    lock: Lock
    socket_missing: Callable[[], bool]
    bind: Callable[[], None]
    embedder_missing: Callable[[], bool]
    renew_embedder: Callable[[], None]
    yield_to: Callable[[str], None]
    _seen: Seen = Seen(lock=True, socket=True)
    _said: str = ""

    def look(self) -> None:
        """Look once, and mend what can be mended; what cannot is said once, and tried again."""
        before, self._seen = self._seen, self._look()
        problem = ""
        for act in decide(before, self._seen):
            try:
                self._do(act)
            except (OSError, KhiveError) as error:
                problem = f"{act.value}: {error}"
        if problem and problem != self._said:
            log.error("foothold.lost", problem=problem)
        self._said = problem

    def _look(self) -> Seen:
        return Seen(
            lock=not self.lock.missing(),
            socket=not self.socket_missing(),
            embedder=not self.embedder_missing(),
        )

    def _do(self, act: Act) -> None:
        if act is Act.BIND:
            self.bind()
        elif act is Act.RENEW_EMBEDDER:
            self.renew_embedder()
        elif not self.lock.take_again():
            other = holder.named_by(self.lock.store)
            who = f"pid {other.pid}" if other is not None else "another one"
            log.error("foothold.yields", to=who, store=self.lock.store)
            self.yield_to(f"the lock's file was removed, and {who} holds the store")
            return
        log.warning("foothold.mended", what=act.value)


def is_there(path: str) -> bool:
    """Return whether a file is there."""
    return os.path.lexists(path)
