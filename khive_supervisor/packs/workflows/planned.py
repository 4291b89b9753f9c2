"""The workflow pack's verbs on schedules."""

from __future__ import annotations

from khive_supervisor.packs.agents import waiting
from khive_supervisor.packs.workflows import numbers
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.model import Firing, Schedule

#: Firings that are shown of each schedule.
SHOWN = 3


def list_schedules(context: Context, _args: Arguments) -> Answer:
    """Return all schedules: when each is due next, and what the last times came to."""
    found = context.store.schedules.all()
    return {"schedules": [_shown(context, one) for one in found]}


def _shown(context: Context, found: Schedule) -> dict[str, object]:
    new = found.new
    due = schedules.next_due(new.cron, new.zone, max(found.seen, context.now()))
    shown: dict[str, object] = {
        "schedule": f"s{found.id}",
        "name": new.name,
        "every": new.cron,
        "next": "paused" if found.paused else waiting.when(due),
        "paused": found.paused,
        "catch_up": new.catch_up,
        "configured": new.configured,
        "last": [_firing(one) for one in context.store.schedules.firings(found.id, SHOWN)],
    }
    if new.zone:
        shown["zone"] = new.zone
    return shown


def _firing(one: Firing) -> dict[str, object]:
    shown: dict[str, object] = {"due": forms.timestamp(one.due), "at": forms.timestamp(one.at)}
    return {**shown, **({"missed": True} if one.run is None else {"run": f"w{one.run}"})}


def pause(context: Context, args: Arguments) -> Answer:
    """Have a schedule begin nothing until it is resumed."""
    return _paused(context, args, paused=True)


def resume(context: Context, args: Arguments) -> Answer:
    """Have a schedule go on; times that have passed meanwhile do not count."""
    return _paused(context, args, paused=False)


def _paused(context: Context, args: Arguments, *, paused: bool) -> Answer:
    _, number = numbers.number(args["schedule"], "s")
    return _shown(context, context.store.schedules.pause(number, paused=paused))


def unschedule(context: Context, args: Arguments) -> Answer:
    """Remove a schedule; runs that it has begun go on."""
    _, number = numbers.number(args["schedule"], "s")
    found = context.store.schedules.remove(number)
    answer: dict[str, object] = {"schedule": f"s{number}", "name": found.new.name, "removed": True}
    if found.new.configured:
        answer["note"] = "The configuration has it: it is there again after the next reload."
    return answer
