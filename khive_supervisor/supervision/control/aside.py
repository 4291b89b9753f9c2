"""Looking at files that may lie on a disk that does not answer, without waiting for it for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Aside(Generic[_T]):
    """Runs functions in threads of their own; used only from one loop.

    Args:
        patience: seconds that one is waited for.
        most: threads that may hang; no others are begun meanwhile.
    """

    def __init__(self, patience: float, most: int) -> None:
        self._patience = patience
        self._most = most
        self._hanging = 0

    async def run(self, work: Callable[[], _T]) -> _T:
        """What a function returns; raises what it raises, or TimeoutError."""
        if self._hanging >= self._most:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def came_back(settle: Callable[[], None]) -> None:
            self._hanging -= 1
            if not answer.done():
                settle()

        def run() -> None:
            try:
                found = work()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                failed = error
                settle: Callable[[], None] = lambda: answer.set_exception(failed)  # noqa: E731
            else:
                settle = lambda: answer.set_result(found)  # noqa: E731 - bound late, run once
            try:
                loop.call_soon_threadsafe(came_back, settle)
            except RuntimeError:
                return  # the loop has ended meanwhile

        self._hanging += 1
        threading.Thread(target=run, name="aside", daemon=True).start()
        return await asyncio.wait_for(answer, self._patience)
