"""Answers about links as people and models read them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MARKS = ("project", "superseded_by", "valid_from", "valid_until", "ended_at")


def neighbors(answer: Mapping[str, Any]) -> str:
    """Return a line for each link: how it is read, what it leads to, and the marks it has."""
    lines = [f"{answer['of']} {_one_line(answer['line'])}"]
    lines += [f"{'  ' * one['depth']}{_step(one)}" for one in answer["neighbors"]]
    lines += [f"  about {_one_line(place)}" for place in answer.get("about", ())]
    if len(lines) == 1:
        lines.append("  is linked with nothing")
    return "\n".join([*lines, *([f"({answer['more']})"] if "more" in answer else [])])


def path(answer: Mapping[str, Any]) -> str:
    """Return a line for each entry on the way, with the link that leads to it."""
    if not answer["found"]:
        return f"{answer['from']} and {answer['to']} are not connected: {answer['why']}."
    lines = [f"{answer['from']} {_one_line(answer['line'])}"]
    return "\n".join([*lines, *(f"  {_link(one)}" for one in answer["path"])])


def _step(one: Mapping[str, Any]) -> str:
    """Return a link with the entry that it leads on from, where that is not the first."""
    return f"{one['of']} {_link(one)}" if one["depth"] > 1 else _link(one)


def _link(one: Mapping[str, Any]) -> str:
    marks = [f"[{name}: {one[name]}]" for name in _MARKS if name in one]
    return " ".join([one["link"], one["id"], *marks, _one_line(one["line"])])


def _one_line(text: str) -> str:
    return " ".join(text.split())
