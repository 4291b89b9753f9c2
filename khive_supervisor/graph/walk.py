"""What is near an entry, and the shortest way between two, hop by hop. Pure.

Where links lead, and whether there is time left, is asked of functions that are given. Each level
is asked for at once, so a walk costs as many questions as it has levels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

#: Why a walk ended before it had seen everything; empty: it has.
COMPLETE, TIME, MOST = "", "there was no time left", "there is more than is shown"
LINKS = "there are more links than are followed"


class Joined(Protocol):
    """A link: two entries, by their numbers."""

    @property
    def from_id(self) -> int:
        """Return where it begins."""
        ...

    @property
    def to_id(self) -> int:
        """Return where it leads."""
        ...


T = TypeVar("T", bound=Joined)


@dataclass(frozen=True, slots=True)
class Step(Generic[T]):
    """One link as it was walked: from the entry that was reached before to the next one."""

    link: T
    before: int
    to: int
    depth: int


@dataclass(frozen=True, slots=True)
class Walked(Generic[T]):
    """What was found on a walk, the nearest first, and why there may be more (`COMPLETE`: not)."""

    steps: tuple[Step[T], ...]
    ended: str = COMPLETE


#: Asked for the links of some entries: those to entries that are not among the second, so many at
#: most.
Around = Callable[[Sequence[int], Collection[int], int], Sequence[T]]


def neighbours(
    start: int, around: Around[T], *, depth: int, most: int, in_time: Callable[[], bool]
) -> Walked[T]:
    """Return what can be reached in so many links, each entry by all links of its first level."""
    reached, edge = {start}, [start]
    steps: list[Step[T]] = []
    for level in range(1, depth + 1):
        if not edge:
            break
        if not in_time():
            return Walked(tuple(steps), TIME)
        links = around(edge, reached, most - len(steps) + 1)
        steps += _steps(links, reached, level)
        if len(steps) > most:
            return Walked(tuple(steps[:most]), MOST)
        edge = [*dict.fromkeys(step.to for step in steps if step.depth == level)]
        reached.update(edge)
    return Walked(tuple(steps))


def _steps(links: Sequence[T], reached: Collection[int], depth: int) -> list[Step[T]]:
    """Return links as steps from what was reached to what was not; others lead nowhere new."""
    found = []
    for link in links:
        for before, to in ((link.from_id, link.to_id), (link.to_id, link.from_id)):
            if before in reached and to not in reached:
                found.append(Step(link, before, to, depth))
    return found


#: Asked for the links of some entries, so many at most.
Hop = Callable[[Sequence[int], int], Sequence[T]]


@dataclass(slots=True)
class _Side(Generic[T]):
    """One end of a search: what was reached from it, by which step, and where it goes on."""

    hop: Hop[T]
    edge: list[int]
    steps: dict[int, Step[T] | None] = field(default_factory=dict)
    depth: int = 0

    def grow(self, room: int) -> int:
        """Go on by one level; how many links were looked at."""
        links = self.hop(self.edge, room)
        self.depth += 1
        fresh: dict[int, Step[T] | None] = {}
        for step in _steps(links, self.steps, self.depth):
            fresh.setdefault(step.to, step)
        self.steps |= fresh
        self.edge = [*fresh]
        return len(links)

    def way(self, to: int) -> list[Step[T]]:
        """Return the steps from this end to an entry that was reached."""
        steps: list[Step[T]] = []
        while (step := self.steps[to]) is not None:
            steps.append(step)
            to = step.before
        return steps[::-1]


def shortest(
    start: int,
    goal: int,
    forward: Hop[T],
    backward: Hop[T],
    *,
    depth: int,
    links: int,
    in_time: Callable[[], bool],
) -> Walked[T] | None:
    """Return a shortest path of at most `depth` links; None: there is none.

    It is looked for from both ends, at the side that has less to go on with, and `links` of them
    are looked at. A path without steps that says why it ended: nobody knows whether there is one.
    """
    if start == goal:
        return Walked(())
    one, other = _Side(forward, [start], {start: None}), _Side(backward, [goal], {goal: None})
    while one.edge and other.edge and one.depth + other.depth < depth:
        if links <= 0 or not in_time():
            return Walked((), LINKS if links <= 0 else TIME)
        side = one if len(one.edge) <= len(other.edge) else other
        links -= side.grow(links)
        met = next(
            (found for found in side.edge if found in one.steps and found in other.steps), None
        )
        if met is not None:
            return Walked(tuple(_joined(one.way(met), other.way(met))))
    return None if links > 0 else Walked((), LINKS)


def _joined(there: list[Step[T]], back: list[Step[T]]) -> list[Step[T]]:
    """Return the steps to where two sides met, and on to the goal."""
    onward = [Step(step.link, step.to, step.before, 0) for step in back[::-1]]
    return [
        Step(step.link, step.before, step.to, number)
        for number, step in enumerate([*there, *onward], 1)
    ]
