"""What searches, lists and get show of writes that wait on this machine for the team's server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NotRequired, TypedDict

from khive_supervisor.errors import NotFound
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.team.waiting import WaitingCall, gist, handle, handled, matching, within
from khive_supervisor.text import analysis
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.answers import Found
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: Writes that are looked through, the newest; texts that are shown, and characters of each.
_LOOKED_AT, _SHOWN, _CHARACTERS = 200, 3, 300


class ShownWaiting(TypedDict):
    """A write that waits; with an error it was put aside. `id` names it until it has one."""

    id: str
    verb: str
    namespace: str
    made_at: str
    content: str
    title: NotRequired[str]
    error: NotRequired[str]


def split(ids: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the ids of entries among some, and the numbers of writes that wait."""
    numbers = [number for one in ids if (number := handled(one)) is not None]
    return [one for one in ids if handled(one) is None], numbers


def named(context: Context, numbers: Sequence[int]) -> list[ShownWaiting]:
    """Return writes that wait, in full.

    Raises:
        NotFound: one is stored, or dropped, or not for who asks.
    """
    calls = [context.whole_store.waiting.named(number) for number in numbers]
    seen = within(calls, context.grant.namespaces)
    if unseen := [one.number for one in calls if one not in seen]:
        raise NotFound(
            f"No write {unseen[0]} waits here: it was stored, or dropped.",
            hint="Search for its words.",
        )
    return [_shown(one) for one in calls]


def listed(
    context: Context, where: EntryFilter, words: Sequence[str], limit: int, characters: int
) -> list[ShownWaiting]:
    """Return memories of some namespaces that wait, the newest first, those with all words."""
    waiting = context.whole_store.waiting
    if not context.config.store.url or not waiting.standing():
        return []
    own = within(waiting.last(_LOOKED_AT), context.grant.namespaces)
    found = matching(_of_memories(own, where.namespaces or ()), ())
    shown = [_shown(one) for one in found]
    texts = [f"{one.get('title', '')} {one['content']}".lower() for one in shown]
    fit = [
        one
        for one, text in zip(shown, texts, strict=True)
        if all(word.lower() in text for word in words)
    ]
    return [{**one, "content": _cut(one["content"], characters)} for one in fit[:limit]]


def _shown(call: WaitingCall) -> ShownWaiting:
    arguments = call.said.arguments
    shown = ShownWaiting(
        id=handle(call.number),
        verb=call.said.verb,
        namespace=call.said.namespace,
        made_at=forms.timestamp(call.said.time.wall),
        content=str(arguments.get("content") or gist(arguments)),
    )
    if title := arguments.get("title"):
        shown["title"] = str(title)
    if call.error:
        shown["error"] = call.error
    return shown


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters] + "..."


def with_waiting(context: Context, args: Arguments, where: EntryFilter, found: Found) -> Found:
    """Return what was found, with notes of what waits here and would fit."""
    waiting = context.whole_store.waiting
    if not context.config.store.url or not (standing := waiting.standing()):
        return found
    calls = waiting.last(_LOOKED_AT)
    own = within(calls, context.grant.namespaces)
    words = analysis.read_query(args["query"])
    fit = matching(_of_memories(own, where.namespaces or ()), words)[:_SHOWN]
    notes = [_note(one) for one in fit]
    count = standing.waiting if len(own) == len(calls) else _count(own)
    if count:
        what = "write waits" if count == 1 else "writes wait"
        notes.append(f"{count} {what} on this machine until the team's server is back.")
    return {**found, "notes": [*found.get("notes", ()), *notes]} if notes else found


def _of_memories(calls: Collection[WaitingCall], namespaces: Collection[str]) -> list[WaitingCall]:
    """Return those that bring a memory to one of some namespaces."""
    return [one for one in calls if one.said.namespace in namespaces and not one.error]


def _count(calls: Collection[WaitingCall]) -> int:
    return sum(not one.error for one in calls)


def _note(call: WaitingCall) -> str:
    cut = _cut(str(call.said.arguments["content"]), _CHARACTERS)
    return f"Not with the team yet (waiting write {call.number}, without an id): {cut}"
