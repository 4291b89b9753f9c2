"""Which role gets a task of a type, by what a store knows of the roles now."""

from __future__ import annotations

from random import Random

from khive_supervisor.store.interface import Store
from khive_supervisor.tasks import selection
from khive_supervisor.tasks.model import RoleRow
from khive_supervisor.tasks.records import day_of
from khive_supervisor.text.plain_json import JsonObject


def roles_of(store: Store) -> dict[str, RoleRow]:
    """Return the configured roles by their names."""
    return {role.role: role for role in store.roles.all()}


def select(store: Store, task_type: str, now: float) -> tuple[RoleRow, JsonObject] | None:
    """Return the best role for a type of task, and how it was selected; None: no role takes it."""
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
    )
    if chosen is None:
        return None
    return next(one for one in roles if one.role == chosen.role), chosen.explained()
