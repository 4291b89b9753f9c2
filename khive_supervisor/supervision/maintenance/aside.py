"""Looking at files that may lie on a disk that does not answer, without waiting for it for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(slots=True)
class Aside:
    """Runs functions in threads of their own; used only from one loop.

    Attributes:
        patience: seconds that one is waited for.
        most: threads at a time; while so many hang, no others are begun.
    """

    patience: float = 2.0
    most: int = 8
    _room: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.most)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what a function returns; raises what it raises, or TimeoutError."""
        async with asyncio.timeout(self.patience):
            await self._room.acquire()
            answer = asyncio.wrap_future(_begin(work))
            answer.add_done_callback(self._came_back)
            return await asyncio.shield(answer)

    def _came_back(self, answer: asyncio.Future[_T]) -> None:
        answer.exception()  # nobody may have waited so long
        self._room.release()


def _begin(work: Callable[[], _T]) -> Future[_T]:
    """Have a function run in a thread that the end of the supervisor does not wait for."""
    answer: Future[_T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            answer.set_exception(error)

    answer.set_running_or_notify_cancel()
    threading.Thread(target=run, name="aside", daemon=True).start()
    return answer
