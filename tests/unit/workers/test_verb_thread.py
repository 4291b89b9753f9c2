"""Where a session's verbs run: one after another, and the quick ones in the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from khive_workers.common.verb_thread import VerbThread

DEADLINE = 60.0


def here(ran: list[str]) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        ran.append(threading.current_thread().name)
        return {}

    return work


def test_quick_work_runs_in_the_loop_unless_something_is_unfinished() -> None:
    async def main() -> None:
        thread, ran = VerbThread(), []
        own = threading.current_thread().name
        await thread.run(here(ran), quick=True)
        assert thread._thread is None
        going, leave = threading.Event(), threading.Event()

        def slow() -> dict[str, Any]:
            going.set()
            assert leave.wait(DEADLINE)
            return here(ran)()

        cancelled = asyncio.create_task(thread.run(slow))
        await asyncio.to_thread(going.wait, DEADLINE)
        cancelled.cancel()
        # Nobody waits for it any more, and yet it is not over.
        second = asyncio.create_task(thread.run(here(ran), quick=True))
        await asyncio.sleep(0)
        assert ran == [own]
        leave.set()
        await second
        await thread.run(here(ran), quick=True)
        assert ran == [own, "verbs", "verbs", own]

    asyncio.run(main())


def test_an_error_of_quick_work_is_raised_and_leaves_nothing_unfinished() -> None:
    async def main() -> None:
        thread, ran = VerbThread(), []

        def fails() -> dict[str, Any]:
            raise ValueError("no")

        for quick in (True, False):
            with pytest.raises(ValueError, match="no"):
                await thread.run(fails, quick=quick)
        await thread.run(here(ran), quick=True)
        assert ran == [threading.current_thread().name]

    asyncio.run(main())


def test_what_was_opened_is_closed_once_wherever_it_was_opened() -> None:
    async def main() -> None:
        closed: list[str] = []
        unused = VerbThread()
        await unused.end(lambda: closed.append("unused"))
        for quick in (True, False):
            thread = VerbThread()
            await thread.run(here([]), quick=quick)
            await thread.end(lambda: closed.append("used"))
        assert closed == ["used", "used"]

    asyncio.run(main())
