"""The graph of a run as numbers for inline SVG: steps from left to right, and what leads to what.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from khive_supervisor.text.plain_json import JsonObject

#: A step's size, and the room between two, in the drawing's units (pixels where there is room).
WIDTH, HEIGHT, BESIDE, BELOW = 164, 44, 48, 14
#: Letters of a name that a step has room for.
LETTERS = 20
#: States of a step's parts, that which tells most of the step first.
_TELLING = ("failed", "dead", "leased", "queued", "waiting", "cancelled", "done")


class GraphNode(NamedTuple):
    """A step: its place, its name as far as there is room, and how it is."""

    x: int
    y: int
    name: str
    whole: str
    state: str
    words: str


class Graph(NamedTuple):
    """A drawing: its size, its steps, and a curve for each of what comes after another."""

    width: int
    height: int
    nodes: list[GraphNode]
    edges: list[str]
    words: str


def named(tasks: Sequence[JsonObject]) -> list[JsonObject]:
    """Return a run's tasks, each with the names of the steps that it comes after."""
    steps = {str(one["task"]): str(one["step"]) for one in tasks}
    return [
        {**one, "comes_after": list(dict.fromkeys(steps.get(str(t), str(t)) for t in one["after"]))}
        for one in tasks
    ]


def graph(tasks: Sequence[JsonObject]) -> Graph | None:
    """Return the graph of `named` tasks, those of one step together; None: there are none."""
    steps: dict[str, list[JsonObject]] = {}
    for one in tasks:
        steps.setdefault(str(one["step"]), []).append(one)
    if not steps:
        return None
    after = {name: _before(name, parts, steps) for name, parts in steps.items()}
    places = _places(after)
    nodes = [_node(name, steps[name], places[name]) for name in steps]
    edges = [_edge(places[one], places[name]) for name in steps for one in after[name]]
    columns = 1 + max(column for column, _ in places.values())
    rows = 1 + max(row for _, row in places.values())
    width = columns * (WIDTH + BESIDE) - BESIDE + 2
    words = ", then ".join(f"{node.whole} ({node.words})" for node in sorted(nodes))
    return Graph(width, rows * (HEIGHT + BELOW) - BELOW + 2, nodes, edges, words)


def _before(name: str, parts: Sequence[JsonObject], steps: Mapping[str, object]) -> tuple[str, ...]:
    named = {str(one) for part in parts for one in part["comes_after"]}
    return tuple(one for one in steps if one in named and one != name)


def _places(after: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return each step's column, which is beyond those that it comes after, and its row."""
    columns: dict[str, int] = {}
    left = list(after)
    while left:
        ready = [one for one in left if all(name in columns for name in after[one])] or left[:1]
        for one in ready:
            known = [columns[name] for name in after[one] if name in columns]
            columns[one] = 1 + max(known, default=-1)
        left = [one for one in left if one not in columns]
    rows: dict[int, int] = {}
    places = {}
    for name in after:
        column = columns[name]
        places[name] = (column, rows.get(column, 0))
        rows[column] = rows.get(column, 0) + 1
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return 1 + place[0] * (WIDTH + BESIDE), 1 + place[1] * (HEIGHT + BELOW)


def _node(name: str, parts: Sequence[JsonObject], place: tuple[int, int]) -> GraphNode:
    states = [str(one["state"]) for one in parts]
    telling = [one for one in _TELLING if one in states]
    state = telling[0] if telling else states[0]
    count = states.count(state)
    words = state if len(states) == 1 else f"{count} of {len(states)} {state}"
    x, y = _corner(place)
    short = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
    return GraphNode(x, y, short, name, state, words)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return a curve from one step's right side to another's left."""
    (x1, y1), (x2, y2) = _corner(start), _corner(end)
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT // 2, y2 + HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"
