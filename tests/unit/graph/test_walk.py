"""Walks against a naive model: breadth first over all links, one at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.graph import walk


@dataclass(frozen=True, slots=True)
class Link:
    from_id: int
    to_id: int


NODES = st.integers(0, 11)
GRAPHS = st.lists(
    st.builds(Link, NODES, NODES).filter(lambda one: one.from_id != one.to_id), max_size=25
)


def ahead(links: Sequence[Link], ids: Collection[int], *, both: bool) -> list[Link]:
    return [one for one in links if one.from_id in ids or (both and one.to_id in ids)]


def distances(links: Sequence[Link], start: int, *, both: bool) -> dict[int, int]:
    """Return how far everything is that can be reached."""
    far, edge = {start: 0}, [start]
    while edge:
        node = edge.pop(0)
        for one in links:
            for before, to in ((one.from_id, one.to_id), (one.to_id, one.from_id)):
                if before == node and to not in far and (both or before == one.from_id):
                    far[to] = far[node] + 1
                    edge.append(to)
    return far


@given(links=GRAPHS, start=NODES, depth=st.integers(1, 5), both=st.booleans())
def test_neighbours_are_all_that_is_within_reach_each_at_its_distance(
    links: list[Link], start: int, depth: int, both: bool
) -> None:
    def around(ids: Sequence[int], besides: Collection[int], limit: int) -> list[Link]:
        found = [
            one
            for one in links
            if (one.from_id in ids and one.to_id not in besides)
            or (both and one.to_id in ids and one.from_id not in besides)
        ]
        return found[:limit]

    found = walk.neighbours(start, around, depth=depth, most=1000, in_time=lambda: True)
    far = distances(links, start, both=both)
    assert found.ended == walk.COMPLETE
    assert {step.to: step.depth for step in found.steps} == {
        node: steps for node, steps in far.items() if 0 < steps <= depth
    }
    for step in found.steps:
        assert {step.before, step.to} == {step.link.from_id, step.link.to_id}
        assert far[step.before] == step.depth - 1

    few = walk.neighbours(start, around, depth=depth, most=2, in_time=lambda: True)
    assert few.steps == found.steps[:2]
    assert (few.ended == walk.MOST) == (len(found.steps) > 2)


@given(links=GRAPHS, start=NODES, goal=NODES, depth=st.integers(1, 6), both=st.booleans())
def test_a_path_is_a_shortest_one_and_leads_there(
    links: list[Link], start: int, goal: int, depth: int, both: bool
) -> None:
    def forward(ids: Sequence[int], limit: int) -> list[Link]:
        return ahead(links, ids, both=both)[:limit]

    def backward(ids: Sequence[int], limit: int) -> list[Link]:
        turned = [one for one in links if one.to_id in ids or (both and one.from_id in ids)]
        return turned[:limit]

    found = walk.shortest(
        start, goal, forward, backward, depth=depth, links=1000, in_time=lambda: True
    )
    far = distances(links, start, both=both).get(goal)
    if far is None or far > depth:
        assert found is None
        return
    assert found is not None
    assert found.ended == walk.COMPLETE
    assert len(found.steps) == far
    assert [step.depth for step in found.steps] == list(range(1, far + 1))
    places = [start, *(step.to for step in found.steps)]
    assert places[-1] == goal
    for step, before in zip(found.steps, places, strict=False):
        assert step.before == before
        assert {step.before, step.to} == {step.link.from_id, step.link.to_id}
        assert both or step.before == step.link.from_id


def test_a_walk_that_has_no_time_or_room_left_says_so() -> None:
    links = [Link(number, number + 1) for number in range(10)]
    late = walk.neighbours(0, lambda *_: links[:1], depth=3, most=9, in_time=lambda: False)
    assert (late.steps, late.ended) == ((), walk.TIME)

    def hop(ids: Sequence[int], limit: int) -> list[Link]:
        return ahead(links, ids, both=True)[:limit]

    for left, in_time, why in ((100, False, walk.TIME), (2, True, walk.LINKS)):
        found = walk.shortest(
            0, 9, hop, hop, depth=12, links=left, in_time=lambda answer=in_time: answer
        )
        assert found is not None
        assert (found.steps, found.ended) == ((), why)
