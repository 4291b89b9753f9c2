"""Looking at files that may lie on a disk that does not answer, without waiting for it for ever."""

from __future__ import annotations

import asyncio
import contextlib
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
        """Return what a function returns; raises what it raises, or TimeoutError."""
        if self._hanging >= self._most:
            raise TimeoutError
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def came_back(found: _T | None, failed: Exception | None) -> None:
            self._hanging -= 1
            if answer.done():
                return  # nobody waits any more
            if failed is not None:
                answer.set_exception(failed)
            else:
                answer.set_result(found)  # type: ignore[arg-type]  # what `work` has returned

        def run() -> None:
            found, failed = None, None
            try:
                found = work()
            except Exception as error:  # noqa: BLE001 - whoever waits gets it
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(came_back, found, failed)

        self._hanging += 1
        # A daemon: the end of the supervisor does not wait for a disk.
        threading.Thread(target=run, name="aside", daemon=True).start()
        return await asyncio.wait_for(answer, self._patience)
