"""How executions look from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Required, TypedDict, cast

from khive_supervisor.budgets.amounts import MICRO
from khive_supervisor.history import telling
from khive_supervisor.history.model import COLLECTION, Execution
from khive_supervisor.store.links import CAUSED_BY, FOLLOWS, PRODUCED, RETRY_OF
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import belonging, forms
from khive_supervisor.verbs.context import Context

#: The kinds of links that an execution shows.
LINKS = (RETRY_OF, CAUSED_BY, FOLLOWS, PRODUCED)

#: By entry, the ids that it is linked to, by the links' kinds.
Linked = Mapping[int, Mapping[str, list[str]]]


class ShownExecution(TypedDict, total=False):
    """An execution as agents and people see it; what it does not have is left out.

    `cost` is in US dollars. The links are ids of entries, by kind.
    """

    id: Required[str]
    task: str
    attempt: Required[int]
    role: Required[str]
    task_type: str
    outcome: Required[str]
    prompt: Required[str]
    error: str
    answer: str
    cost: float
    tokens: int
    seconds: Required[float]
    quality: float
    digest: str
    payload_digest: Required[str]
    project: str
    branch: str
    commit: str
    diff: str
    files: list[str]
    began_at: Required[str]
    ended_at: Required[str]
    score: float
    attempts: int
    retry_of: list[str]
    caused_by: list[str]
    follows: list[str]
    produced: list[str]


def show_all(
    context: Context, executions: Sequence[Execution], args: Mapping[str, object]
) -> list[ShownExecution]:
    """Return executions as they are shown, in order, with their links."""
    numbers = [one.entry for one in executions]
    entries = {one.id: one for one in context.store.entries.get(numbers)}
    linked = links_of(context, numbers)
    named = belonging.labels(context, entries.values(), args)
    return [
        show(one, entries[one.entry], linked.get(one.entry, {}), named.get(one.entry))
        for one in executions
        if one.entry in entries
    ]


def show(
    one: Execution, entry: Entry, linked: Mapping[str, list[str]], project: str | None
) -> ShownExecution:
    """Return an execution as it is shown; `project` where it is to be told."""
    shown: dict[str, object] = {
        "id": forms.show_id(COLLECTION, one.entry),
        "attempt": one.attempt,
        "role": one.role,
        "outcome": one.outcome,
        "prompt": entry.title,
        "seconds": round(one.seconds, 3),
        "payload_digest": one.payload_digest,
        "began_at": forms.timestamp(one.began_at),
        "ended_at": forms.timestamp(one.ended_at),
    }
    more = {
        "task": f"t{one.task_id}" if one.task_id is not None else "",
        "task_type": one.task_type,
        "error": one.error,
        "answer": "" if one.error else telling.came_of(entry.content),
        "cost": one.cost / MICRO,
        "tokens": one.tokens,
        "digest": one.digest,
        "project": project,
        "branch": entry.branch,
        "commit": entry.commit,
        "diff": one.diff,
        "files": list(one.files),
    }
    shown |= {name: value for name, value in more.items() if value}
    if one.quality is not None:
        shown["quality"] = one.quality
    return cast("ShownExecution", shown | {kind: list(ids) for kind, ids in linked.items()})


def links_of(context: Context, numbers: Sequence[int]) -> Linked:
    """Return what executions are linked to, by entry and kind."""
    links = [one for one in context.store.links.of(numbers, LINKS) if one.from_id in set(numbers)]
    shown = _ids(context, (one.to_id for one in links))
    found: dict[int, dict[str, list[str]]] = {}
    for one in links:
        if one.to_id in shown:
            found.setdefault(one.from_id, {}).setdefault(one.kind, []).append(shown[one.to_id])
    return found


def _ids(context: Context, numbers: Iterable[int]) -> dict[int, str]:
    found = context.store.entries.get(list(dict.fromkeys(numbers)))
    return {one.id: forms.show_id(one.collection, one.id) for one in found}
