"""What a session does when the supervisor says that something has changed: never at a bad time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.freshness import GENERATIONS
from khive_supervisor.verbs.context import Context
from khive_workers.common.verb_thread import VerbThread

log = logs.get("khive.hints")


class HintReceiver:
    """Refreshes where verbs run, so between two calls, and then tells the client.

    Hints that come meanwhile are one more round, however many they are. Nothing depends on this:
    each call checks by itself what it uses.
    """

    def __init__(
        self,
        context: Context,
        thread: VerbThread,
        notify: Callable[[Collection[str]], Awaitable[None]],
    ) -> None:
        self._context = context
        self._thread = thread
        self._notify = notify
        self._kinds: set[str] = set()
        self._working: asyncio.Task[None] | None = None

    def changed(self, kinds: Any) -> None:
        """Take a hint; what it says is not trusted to be well formed."""
        if not isinstance(kinds, list):
            return
        self._kinds.update(kind for kind in kinds if isinstance(kind, str))
        if self._kinds and self._working is None:
            self._working = asyncio.create_task(self._work())

    async def _work(self) -> None:
        try:
            while self._kinds:
                kinds, self._kinds = frozenset(self._kinds), set()
                await self._refresh(kinds)
                await self._notify(kinds)
        finally:
            self._working = None

    async def _refresh(self, kinds: frozenset[str]) -> None:
        """A session that has opened nothing has nothing to refresh, and starts no thread for it."""
        if not self._context.opened:
            return

        try:
            # Only what comes with a new generation takes longer than going to the thread and back.
            await self._thread.run(
                lambda: self._context.refresh(kinds), quick=GENERATIONS not in kinds
            )
        except KhiveError as error:  # the next call will meet it, and say it to somebody
            log.debug("hints.refresh_failed", error=str(error))
