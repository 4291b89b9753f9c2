"""Why a supervisor ends, and what its tasks come to before it does."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock, MagicMock

import pytest

from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.app import _lasting, _together
from khive_supervisor.supervision.control.ending import Ending
from khive_supervisor.supervision.upgrade.handover import Successor

NEXT = Successor("/usr/bin/python3", "99.0.0")


def ending(held: asyncio.Event | None = None) -> Ending:
    """Return one whose roles let go at once, or when `held` is set."""

    async def let_go(_patience: float) -> None:
        if held is not None:
            await held.wait()

    return Ending(MagicMock(until_quiet=AsyncMock()), MagicMock(let_go=let_go))


def test_a_command_that_ends_it_is_answered_before() -> None:
    async def main() -> None:
        made = ending()
        made.soon("command 7", sessions=True)
        assert not made.wanted.is_set()
        await made.wanted.wait()
        assert (made.by, made.sessions, made.successor) == ("command 7", True, None)

    asyncio.run(main())


def test_roles_let_go_before_another_release_takes_over() -> None:
    async def main() -> None:
        made = ending()
        await made.hand_over(NEXT)
        assert made.successor is None
        await made.wanted.wait()
        assert (made.by, made.successor) == ("release 99.0.0", NEXT)

    asyncio.run(main())


def test_who_is_told_to_end_hands_over_to_nobody() -> None:
    async def main() -> None:
        held = asyncio.Event()
        made = ending(held)
        await made.hand_over(NEXT)
        made.now()
        held.set()
        assert made._handing_over is not None
        await made._handing_over
        assert made.wanted.is_set()
        assert made.successor is None

    asyncio.run(main())


def test_a_signal_after_a_hand_over_has_begun_ends_it_for_good() -> None:
    async def main() -> None:
        made = ending()
        await made.hand_over(NEXT)
        await made.wanted.wait()
        made.now()
        assert made.successor is None

    asyncio.run(main())


def test_one_that_yields_says_to_whom() -> None:
    made = ending()
    made.yield_to(Holder(9))
    assert made.wanted.is_set()
    assert made.by == "the lock's file was removed, and pid 9 holds the store"


# --- the task group ------------------------------------------------------------------------------


def test_a_part_that_fails_is_said_and_leaves_the_others_at_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken() -> None:
        raise ValueError("a defect")

    async def main() -> bool:
        async with _together() as group:
            done = group.create_task(_lasting(broken))
            other = group.create_task(asyncio.sleep(3600))
            await done
            still_there = not other.done()
            other.cancel()
        return still_there

    assert asyncio.run(main())
    assert "supervisor.part_failed" in [record.getMessage() for record in caplog.records]


def test_what_is_raised_within_is_raised_as_it_is_and_no_task_is_left() -> None:
    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        async with _together() as group:
            tasks.append(group.create_task(asyncio.sleep(3600)))
            await asyncio.sleep(0)
            raise BrokenPipeError("nobody waits")

    with pytest.raises(BrokenPipeError):
        asyncio.run(main())
    assert tasks[0].cancelled()
