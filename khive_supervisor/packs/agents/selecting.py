"""Which role gets a task of a type, by what a store knows of the roles and of tasks like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.history import telling
from khive_supervisor.history.model import COLLECTION
from khive_supervisor.store.interface import Store
from khive_supervisor.tasks import selection
from khive_supervisor.tasks.likeness import AlikeAttempt
from khive_supervisor.tasks.model import DONE, FAILED, RoleRow
from khive_supervisor.tasks.records import day_of
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context

log = logs.get("khive.selection")

#: Attempts at tasks like one that are looked at, and characters of its prompt that are compared.
LOOKED_AT, COMPARED = 30, 4_000


def roles_of(store: Store) -> dict[str, RoleRow]:
    """Return the configured roles by their names."""
    return {role.role: role for role in store.roles.all()}


def select(
    store: Store, task_type: str, now: float, alike: Sequence[AlikeAttempt] = ()
) -> tuple[RoleRow, JsonObject] | None:
    """Return the best role for a type of task, and how it was selected; None: no role takes it.

    `alike`: what `attempts_alike` has found.
    """
    roles = store.roles.all()
    blocked = store.budgets.blocked()
    chosen = selection.select(
        roles,
        task_type,
        store.roles.records(),
        store.tasks.queue_depths(),
        day_of(now),
        Random(),  # noqa: S311 - explores, keeps no secret
        {name: f"its budget is exceeded: {why}" for name, why in blocked.items()},
        alike,
    )
    if chosen is None:
        return None
    return next(one for one in roles if one.role == chosen.role), chosen.explained()


def attempts_alike(
    context: Context, task_type: str, payload: Any, most: int = LOOKED_AT
) -> list[AlikeAttempt]:
    """Return the attempts at tasks of a type that are most like one, as whoever asks may see them.

    None where there is nothing to choose or to compare. A search that fails is as one that finds
    nothing: no task is refused for it. Within a batch nothing is looked for.
    """
    prompt = telling.prompt_in(payload)[:COMPARED].strip()
    roles = selection.candidates(context.store.roles.all(), task_type)
    if context.in_batch or not prompt or len(roles) < 2:
        return []
    where = forms.entry_filter(context, {}, COLLECTION)
    where = replace(where, tags=(telling.type_tag(task_type),))
    try:
        found = context.search.search(
            prompt, where, limit=most, now=context.now(), floor=0.0, by_document=False
        )
        tried = context.store.executions.of(hit.entry.id for hit in found.hits)
    except KhiveError as error:
        log.warning("selection.by_type_only", error=str(error))
        return []
    alike = [(tried[hit.entry.id], hit.score) for hit in found.hits if hit.entry.id in tried]
    return [
        AlikeAttempt(
            one.role,
            one.digest,
            day_of(one.ended_at),
            (1.0 if one.quality is None else one.quality) if one.success else 0.0,
            likeness,
        )
        for one, likeness in alike
        if one.outcome in (DONE, FAILED)
    ]
