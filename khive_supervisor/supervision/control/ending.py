"""Why a supervisor ends, and what comes after it: nothing, or another release in its place."""

from __future__ import annotations

import asyncio

from khive_supervisor import logs
from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.reload.reloader import Reloader
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.upgrade.handover import Successor

log = logs.get("khive.supervisor")

#: Seconds that a reload which is at work gets before another release takes over, and then the
#: tasks: those that take longer go on by themselves, and their results count.
RELOAD_PATIENCE, ROLES_PATIENCE = 10.0, 2.0
#: Seconds in which an answer leaves before the socket does.
ANSWERED_WITHIN = 0.05


class Ending:
    """What is asked for; used only from the supervisor's loop.

    Attributes:
        wanted: set when the supervisor is to end.
        by: who asked for it.
        sessions: whether open sessions are to end as well.
        successor: what this process becomes at its end, if another release takes over.
    """

    def __init__(self, reloader: Reloader, roles: Roles) -> None:
        self.wanted = asyncio.Event()
        self.by = "a signal"
        self.sessions = False
        self.successor: Successor | None = None
        self._reloader = reloader
        self._roles = roles
        self._handing_over: asyncio.Task[None] | None = None

    def now(self) -> None:
        """End it for good."""
        self.successor = None
        self.wanted.set()

    def soon(self, who: str, *, sessions: bool) -> None:
        """End it for somebody, as soon as the answer has left."""
        self.by, self.sessions = who, sessions
        asyncio.get_running_loop().call_later(ANSWERED_WITHIN, self.now)

    def yield_to(self, other: Holder | None) -> None:
        """End it as if it was told to: another supervisor holds the store, and serves on."""
        who = f"pid {other.pid}" if other is not None else "another one"
        log.error("foothold.yields", to=who)
        self.by = f"the lock's file was removed, and {who} holds the store"
        self.wanted.set()

    async def hand_over(self, successor: Successor) -> None:
        """Have another release take over: roles let go of what they do, then this process ends.

        Returns before that; what is asked meanwhile is still answered.
        """
        self.by = f"release {successor.release}"
        self._handing_over = asyncio.create_task(self._let_go(successor))

    async def _let_go(self, successor: Successor) -> None:
        await self._reloader.until_quiet(RELOAD_PATIENCE)
        await self._roles.let_go(ROLES_PATIENCE)
        if not self.wanted.is_set():
            self.successor = successor
            self.wanted.set()
