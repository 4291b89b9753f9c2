"""What led to a task, and what it has led to: attempts and the links between them."""

from __future__ import annotations

from khive_supervisor.errors import NotFound
from khive_supervisor.history.model import BY_ORDER, Execution
from khive_supervisor.packs.agents import task_forms
from khive_supervisor.packs.history.shown import LINKS, show_all
from khive_supervisor.store.links import EntryLink
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Executions that one lineage shows, and steps from the task that are followed.
MOST, STEPS = 200, 20


def lineage(context: Context, args: Arguments) -> Answer:
    """Return the executions that a task is linked with, oldest first, and the links."""
    begun = _asked(context, args["task"])
    found, links = _followed(context, begun)
    shown = show_all(context, sorted(found.values(), key=lambda one: one.ended_at), args)
    ids = {one.id: forms.show_id(one.collection, one.id) for one in _ends(context, links)}
    edges = [
        {"from": ids[one.from_id], "kind": one.kind, "to": ids[one.to_id]}
        for one in links
        if one.from_id in ids and one.to_id in ids
    ]
    answer: dict[str, object] = {"task": args["task"], "executions": shown, "links": edges}
    if len(found) >= MOST:
        answer["notes"] = [f"More than {MOST} are linked; these are the nearest."]
    return answer


def _asked(context: Context, text: str) -> list[Execution]:
    """Return the attempts of a task, or the one of an entry; raises NotFound without any."""
    if text.strip()[:1] == "e":
        entries = forms.allowed(context, forms.existing(context.store, [text]))
        return [*context.store.executions.of(one.id for one in entries).values()]
    attempts = context.store.executions.of_tasks([task_forms.task_id(text)])
    entries = context.store.entries.get([one.entry for one in attempts])
    allowed = {one.id for one in forms.allowed(context, entries)}
    found = [one for one in attempts if one.entry in allowed]
    if not found:
        raise NotFound(
            f"No attempt at the task {text.strip()[:80]} has ended, or all were removed.",
            hint="`khive-supervisor task` shows how far a task is; `khive-supervisor history` "
            "lists what has ended.",
        )
    return found


def _followed(
    context: Context, begun: list[Execution]
) -> tuple[dict[int, Execution], list[EntryLink]]:
    """Return all executions within STEPS links of the first ones, and every link between.

    Of those that only their order has brought together, the nearest are enough: a session may have
    given a thousand tasks.
    """
    found = {one.entry: one for one in begun}
    links: dict[int, EntryLink] = {}
    edge = list(found)
    for step in range(STEPS):
        new = [one for one in context.store.links.of(edge, LINKS) if not step or one.by != BY_ORDER]
        links |= {one.id: one for one in new}
        ends = {end for one in new for end in (one.from_id, one.to_id)} - found.keys()
        more = context.store.executions.of(ends)
        edge = list(more)[: MOST - len(found)]
        found |= {one: more[one] for one in edge}
        if not edge:
            break
    return found, [links[one] for one in sorted(links)]


def _ends(context: Context, links: list[EntryLink]) -> list[Entry]:
    ends = {end for one in links for end in (one.from_id, one.to_id)}
    return context.store.entries.get(sorted(ends))
