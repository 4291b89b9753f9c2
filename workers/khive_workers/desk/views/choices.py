"""Why a task is done by whom: the choice of its role and of its candidate, told as tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from khive_supervisor.text.plain_json import JsonObject


class ShownCandidate(NamedTuple):
    """One that was considered: what is believed of it, what it drew, and why it was left out."""

    name: str
    chosen: bool
    known: str
    drew: str
    more: str


class Choice(NamedTuple):
    """One choice: what was chosen, why, and all that were considered."""

    what: str
    chosen: str
    because: str
    compared: list[ShownCandidate]


def choices(why: object) -> list[Choice]:
    """Return what is known of why a task is done by whom; empty where nobody has chosen."""
    if not isinstance(why, dict):
        return []
    route = why.get("route")
    found = [_of_role(why)] if "selected" in why else []
    return [*found, *([_of_candidate(route)] if isinstance(route, dict) else [])]


def others(why: object) -> JsonObject:
    """Return what else is said of it."""
    known = ("selected", "because", "candidates", "skipped", "route")
    if not isinstance(why, dict):
        return {}
    return {name: said for name, said in why.items() if name not in known or "selected" not in why}


def _of_role(why: Mapping[str, Any]) -> Choice:
    selected = str(why["selected"])
    rows = [
        ShownCandidate(
            str(one.get("role", "")), one.get("role") == selected, _known(one),
            _number("{:.2f}", one.get("score")), _role_more(one),
        )
        for one in _list(why.get("candidates"))
    ] + [
        ShownCandidate(str(one.get("role", "")), False, "", "", str(one.get("because", "")))
        for one in _list(why.get("skipped"))
    ]  # fmt: skip
    return Choice("role", selected, str(why.get("because", "")), rows)


def _of_candidate(route: Mapping[str, Any]) -> Choice:
    chosen = str(route.get("candidate", ""))
    rows = [
        ShownCandidate(
            str(one.get("candidate", "")), one.get("candidate") == chosen, _known(one),
            _number("{:.2f}", one.get("draw")), _candidate_more(one),
        )
        for one in _list(route.get("considered"))
    ] + [
        ShownCandidate(str(one.get("candidate", "")), False, "", "",
                 f"could not do it: {one.get('because', '')}")
        for one in _list(route.get("failed_over"))
    ]  # fmt: skip
    return Choice("candidate", chosen, str(route.get("because", "")), rows)


def _known(one: Mapping[str, Any]) -> str:
    """Return the belief in words: what succeeds, its interval, and what it is worth."""
    mean, interval = one.get("mean"), one.get("interval")
    if not isinstance(mean, int | float):
        return ""
    low, high = interval if isinstance(interval, list) and len(interval) == 2 else (mean, mean)
    return f"{mean:.0%} ({low:.0%} to {high:.0%}), worth {_number('{:.0f}', one.get('n'))} attempts"


def _role_more(one: Mapping[str, Any]) -> str:
    alike = one.get("alike")
    parts = [f"load {_number('{:.2g}', one.get('load'))}"]
    if isinstance(alike, dict):
        parts.append(f"{alike.get('attempts', 0)} attempts at tasks like this one")
    return ", ".join(parts)


def _candidate_more(one: Mapping[str, Any]) -> str:
    cost = one.get("cost")
    told = [str(one.get("price", "")), f"${cost:.3g} a task" if isinstance(cost, float) else ""]
    return ", ".join(filter(None, [*told, str(one.get("passed_over", ""))]))


def _number(form: str, value: object) -> str:
    return form.format(value) if isinstance(value, int | float) else ""


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
