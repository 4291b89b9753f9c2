"""The one thread of a session that runs its verbs, one after another.

The event loop stays free to notice that the client is gone. What takes no longer than noticing
that would is run by the loop itself: to another thread and back takes 0.3 ms. Smaller than an
executor on purpose: concurrent.futures costs each session half a megabyte of copied pages.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

#: What a piece of work gives.
Result = TypeVar("Result")
_Piece = tuple[Callable[[], Any], asyncio.Future[Any]]


class VerbThread:
    """Runs work in a thread that starts with the first of it, and never keeps a process alive."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[_Piece] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._unfinished = 0
        self._used = False

    async def run(self, work: Callable[[], Result], *, quick: bool = False) -> Result:
        """Run one piece of work; its result or its error. A cancelled wait lets it finish.

        `quick`: it takes milliseconds, and runs here if nothing else is unfinished.
        """
        self._used = True
        if quick and not self._unfinished:
            return work()
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._unfinished += 1
        self._waiting.put((work, done))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="verbs", daemon=True)
            self._thread.start()
        return await done

    async def end(self, last: Callable[[], None]) -> None:
        """Run what closes things in the thread, after everything else, if anything ran."""
        if not self._used:
            return
        await self.run(last)

    def _serve(self) -> None:
        while True:
            work, done = self._waiting.get()
            _serve_one(work, done, self._finished)

    def _finished(self) -> None:
        self._unfinished -= 1


async def run_apart(work: Callable[[], Result]) -> Result:
    """Run one piece of work in a thread of its own, which ends with it; as `VerbThread.run`."""
    done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    args = (work, done, _nothing)
    threading.Thread(target=_serve_one, args=args, name="waits", daemon=True).start()
    return await done


def _nothing() -> None:
    """Do nothing: nobody counts these."""


def _serve_one(
    work: Callable[[], Result], done: asyncio.Future[Result], finished: Callable[[], None]
) -> None:
    """Run it here; in the loop, `finished` is called and the result handed to who waits."""
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - it belongs to who waits
        _settle(done, finished, done.set_exception, error)
    else:
        _settle(done, finished, done.set_result, result)


def _settle(
    done: asyncio.Future[Any],
    finished: Callable[[], None],
    settle: Callable[[Any], None],
    what: Any,
) -> None:
    """Hand a result to the loop; perhaps nobody waits any more."""

    def hand() -> None:
        finished()
        if not done.done():
            settle(what)

    try:
        done.get_loop().call_soon_threadsafe(hand)
    except RuntimeError:
        return  # the loop has ended, and with it the session
