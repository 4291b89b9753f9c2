"""What a search says of writes that wait on this machine for the team's server."""

from __future__ import annotations

from collections.abc import Collection

from khive_supervisor.store.model import EntryFilter
from khive_supervisor.team.waiting import WaitingCall, matching, within
from khive_supervisor.text import analysis
from khive_supervisor.verbs.answers import Found
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: Writes that are looked through, the newest; texts that are shown, and characters of each.
_LOOKED_AT, _SHOWN, _CHARACTERS = 200, 3, 300


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
    text = str(call.said.arguments["content"])
    cut = text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "..."
    return f"Not with the team yet (waiting write {call.number}, without an id): {cut}"
