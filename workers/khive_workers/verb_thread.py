"""The one thread of a session that runs its verbs, one after another.

The event loop stays free to notice that the client is gone. Smaller than an executor on purpose:
concurrent.futures costs each session half a megabyte of copied pages.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

Work = Callable[[], dict[str, Any]]


class VerbThread:
    """Runs work in a thread that starts with the first of it, and never keeps a process alive."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Work, asyncio.Future[dict[str, Any]]]] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    async def run(self, work: Work) -> dict[str, Any]:
        """Run one piece of work; its result or its error. A cancelled wait lets it finish."""
        done: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, done))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="verbs", daemon=True)
            self._thread.start()
        return await done

    async def end(self, last: Callable[[], None]) -> None:
        """Run what closes things where they were opened, after everything else, if anything ran."""
        if self._thread is None:
            return

        def work() -> dict[str, Any]:
            last()
            return {}

        await self.run(work)

    def _serve(self) -> None:
        while True:
            _serve_one(*self._waiting.get())


async def run_apart(work: Work) -> dict[str, Any]:
    """Run one piece of work in a thread of its own, which ends with it; as `VerbThread.run`."""
    done: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    threading.Thread(target=_serve_one, args=(work, done), name="waits", daemon=True).start()
    return await done


def _serve_one(work: Work, done: asyncio.Future[dict[str, Any]]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it belongs to who waits
        _tell(done, done.set_exception, error)
    else:
        _tell(done, done.set_result, result)


def _tell(done: asyncio.Future[Any], tell: Callable[[Any], None], what: Any) -> None:
    """Hand a result to the loop, unless nobody waits any more."""

    def hand() -> None:
        if not done.done():
            tell(what)

    try:
        done.get_loop().call_soon_threadsafe(hand)
    except RuntimeError:
        return  # the loop has ended, and with it the session
