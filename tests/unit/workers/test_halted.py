"""Children that are stopped: ended after a while that was watched, not after any other."""

from __future__ import annotations

import pytest
from khive_workers.common.halted import (
    LOOK_EVERY,
    STAND_IN_EVERY,
    STOPPED_FOR,
    SUPERVISED_FOR,
    Halted,
    StandIn,
    end_stopped_siblings,
)

#: What waitpid says of a child that a signal has stopped, and of one that has ended.
STOPPED, ENDED = 0x137F, 0


class Children:
    """Processes by number, and which of them were ended."""

    def __init__(self) -> None:
        self.stopped: set[int] = set()
        self.ended: list[int] = []
        self.supervised = False
        self.halted = Halted(lambda: self.supervised, self.stopped.__contains__, self.ended.append)

    def stop(self, pid: int, now: float) -> None:
        self.stopped.add(pid)
        assert self.halted.note(pid, STOPPED, now)

    def watch(self, begin: float, seconds: float) -> None:
        for turn in range(int(seconds / LOOK_EVERY) + 1):
            self.halted.see_to(begin + turn * LOOK_EVERY)


def test_one_that_stays_stopped_is_ended_once() -> None:
    children = Children()
    children.stop(7, 0.0)
    children.watch(0.0, STOPPED_FOR - LOOK_EVERY)
    assert not children.ended
    children.watch(STOPPED_FOR, 3.0)
    assert children.ended == [7]
    assert not children.halted


def test_one_that_a_supervisor_looks_at_is_left_to_it_unless_that_stops_too() -> None:
    children = Children()
    children.supervised = True
    children.stop(7, 0.0)
    children.watch(0.0, SUPERVISED_FOR - LOOK_EVERY)
    assert not children.ended
    children.supervised = False
    children.halted.see_to(SUPERVISED_FOR - LOOK_EVERY / 2)
    assert children.ended == [7]


def test_one_that_goes_on_is_left_alone() -> None:
    children = Children()
    children.stop(7, 0.0)
    children.stopped.clear()
    children.watch(0.0, 5.0)
    assert not children.ended
    assert not children.halted


@pytest.mark.parametrize("away", [1.5, 60.0])
def test_time_in_which_nobody_watched_does_not_count(away: float) -> None:
    children = Children()
    children.stop(7, 0.0)
    children.halted.see_to(away)  # stopped itself meanwhile, with all others
    children.stopped.clear()
    children.watch(away + LOOK_EVERY, 5.0)
    assert not children.ended


def test_one_that_ends_is_forgotten() -> None:
    children = Children()
    children.stop(7, 0.0)
    assert not children.halted.note(7, ENDED, 0.1)
    children.watch(0.0, 5.0)
    assert not children.ended


def test_who_leaves_ends_those_that_are_stopped_at_once() -> None:
    children = Children()
    children.stop(7, 0.0)
    children.stop(8, 0.0)
    children.stopped.discard(8)
    children.halted.end_stopped()
    assert children.ended == [7]


@pytest.mark.parametrize(
    ("looks", "ended"), [([{7, 8}] * 9, [7, 8]), ([{7, 8}, {8}, {7, 8}], [8]), ([set()], [])]
)
def test_siblings_that_stay_stopped_are_ended(
    looks: list[set[int]], ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = 0

    async def sleep(_seconds: float) -> None:
        nonlocal turn
        turn = min(turn + 1, len(looks) - 1)

    monkeypatch.setattr("asyncio.sleep", sleep)
    found: list[int] = []
    look = end_stopped_siblings(
        "socket", lambda _socket: sorted(looks[0]), lambda pid: pid in looks[turn], found.append
    )
    with pytest.raises(StopIteration):
        look.send(None)
    assert found == ended


@pytest.mark.parametrize(
    ("looks", "rounds"), [([True, True, True, False], 2), ([True, False], 0), ([False], 0)]
)
def test_siblings_are_looked_at_only_while_the_supervisor_is_stopped(
    looks: list[bool], rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def nothing(_seconds: float) -> None:
        return

    async def end(socket: str) -> None:
        done.append(socket)

    monkeypatch.setattr("asyncio.sleep", nothing)
    answers = iter(looks)
    stand_in = StandIn("socket", lambda: 5, lambda _pid: next(answers), end)
    if stand_in.is_due(10.0):
        with pytest.raises(StopIteration):
            stand_in.run().send(None)
    assert done == ["socket"] * rounds


def test_a_stand_in_asks_at_most_once_in_a_while_and_never_beside_itself() -> None:
    asked: list[int] = []

    def stopped(pid: int) -> bool:
        asked.append(pid)
        return True

    async def end(_socket: str) -> None:
        assert not stand_in.is_due(1e9)  # it is at work
        raise ProcessLookupError

    stand_in = StandIn("socket", lambda: 5, stopped, end)
    assert stand_in.is_due(10.0)
    assert not stand_in.is_due(10.0 + STAND_IN_EVERY / 2)
    with pytest.raises(ProcessLookupError):
        stand_in.run().send(None)
    assert stand_in.is_due(10.0 + STAND_IN_EVERY)
    assert asked == [5, 5, 5]


def test_a_worker_without_a_link_stands_in_for_nobody() -> None:
    assert not StandIn("socket", lambda: None, lambda _pid: True).is_due(10.0)
