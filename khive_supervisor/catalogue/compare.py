"""What differs between two catalogues, and which differences break those who rely on it. Pure.

An older catalogue and a newer one: what was there has to be there, what was taken has to be taken
still, and what was answered has to be answered. Everything else is an addition or a change that
people can look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from khive_supervisor.catalogue.document import PARTS, said
from khive_supervisor.catalogue.narrowing import narrowed, withdrawn

Weight = Literal["breaks", "changes", "adds"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise.

    Attributes:
        weight: "breaks" what relied on it, "changes" something else, or "adds" what was not there.
        part: the part of the catalogue.
        name: of the thing.
        what: what is otherwise, as the end of a sentence.
    """

    weight: Weight
    part: str
    name: str
    what: str


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return the differences, those that break first; parts that only one has are passed over."""
    found = [
        difference
        for part in PARTS
        if part in old and part in new
        for difference in _part(part, old[part], new[part])
    ]
    order = ("breaks", "changes", "adds")
    return sorted(found, key=lambda one: order.index(one.weight))


def _part(part: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name, was in old.items():
        if name not in new:
            yield Difference("breaks", part, name, "is gone")
        else:
            for weight, what in _LOOKS[part](was, new[name]):
                yield Difference(weight, part, name, what)
    for name in sorted(new.keys() - old.keys()):
        yield Difference("adds", part, name, said(new[name]) or "is new")


Said = tuple[Weight, str]
Item = Mapping[str, Any]
Look = Callable[[Item, Item], Iterator[Said]]


def _verb(was: Item, now: Item) -> Iterator[Said]:
    for what in narrowed(was["arguments"], now["arguments"]):
        yield "breaks", what
    for what in withdrawn(was.get("answer", {}), now.get("answer", {})):
        yield "breaks", f"its answer: {what}"
    if was["audience"] == "agent" and now["audience"] != "agent":
        yield "breaks", "is for operators now"
    if was["confined"] and not now["confined"]:
        yield "breaks", "is not for confined sessions any more"
    if was.get("tool") and was.get("tool") != now.get("tool"):
        yield "breaks", f"is no tool {was['tool']} any more"
    for name in ("read_only", "destructive", "idempotent"):
        if was[name] != now[name]:
            yield "changes", f"{name} is {str(now[name]).lower()} now"


def _setting(was: Item, now: Item) -> Iterator[Said]:
    for what in narrowed(was["value"], now["value"], "its value"):
        yield "breaks", what
    if was["trust"] == "project" and now["trust"] != "project":
        yield "breaks", "cannot be set by a project's file any more"
    for name in ("default", "applies"):
        if was.get(name) != now.get(name):
            yield "changes", f"{name} was {was.get(name)!r} and is {now.get(name)!r}"


def _command(was: Item, now: Item) -> Iterator[Said]:
    for option, about in was["options"].items():
        if option not in now["options"]:
            yield "breaks", f"takes no {option} any more"
        elif not _choices(about) <= _choices(now["options"][option]):
            yield "breaks", f"{option} takes {now['options'][option]['value']} now"
    if was["arguments"] != now["arguments"]:
        names = " ".join(now["arguments"]) or "none"
        yield "breaks", f"its arguments are {names} now"


def _choices(option: Item) -> set[str]:
    """Return what an option takes: its choices, or the words for what it is."""
    return set(option["value"].split(" or "))


def _metric(was: Item, now: Item) -> Iterator[Said]:
    if was["kind"] != now["kind"]:
        yield "breaks", f"is a {now['kind']} now"
    if was["labels"] != now["labels"]:
        yield "breaks", f"its labels are {', '.join(now['labels']) or 'none'} now"


def _code(was: Item, now: Item) -> Iterator[Said]:
    for name in ("code", "exit_code"):
        if was.get(name) != now.get(name):
            yield "breaks", f"{name} was {was.get(name)} and is {now.get(name)}"


def _action(was: Item, now: Item) -> Iterator[Said]:
    if was["subject"] != now["subject"]:
        yield "breaks", f"its subject is {now['subject']} now"


def _route(was: Item, now: Item) -> Iterator[Said]:
    for what in narrowed(_taken(was), _taken(now)):
        yield "breaks", what
    for what in withdrawn(_answered(was), _answered(now)):
        yield "breaks", f"its answer: {what}"


def _taken(route: Item) -> Item:
    """Return what a route takes, in its path, query and body, as a schema of one object."""
    parameters = route.get("parameters", [])
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = body.get("schema", {})
    properties = {one["name"]: one["schema"] for one in parameters}
    required = [one["name"] for one in parameters if one["required"]]
    return {
        "properties": properties | dict(schema.get("properties", {})),
        "required": required + list(schema.get("required", [])),
        "additionalProperties": False,
    }


def _answered(route: Item) -> Item:
    content = route.get("responses", {}).get("200", {}).get("content", {})
    return next((one.get("schema", {}) for one in content.values()), {})


def _link(was: Item, now: Item) -> Iterator[Said]:
    for end in ("from", "to"):
        for gone in sorted(set(was.get(end, ())) - set(now.get(end, ()))):
            yield "breaks", f"leads {end} no {gone} any more"
    if was.get("inverse", now.get("inverse")) != now.get("inverse"):
        yield "breaks", f"is {now.get('inverse')} from its other end now"


def _as_it_was(_was: Item, _now: Item) -> Iterator[Said]:
    return iter(())


_LOOKS: Mapping[str, Look] = {
    **dict.fromkeys(PARTS, _as_it_was),
    "verbs": _verb,
    "settings": _setting,
    "commands": _command,
    "metrics": _metric,
    "exit_codes": _code,
    "errors": _code,
    "actions": _action,
    "links": _link,
    "routes": _route,
}
