"""What `status` says of roles, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.cli.render.output import table
from khive_supervisor.supervision.roles.status import RoleStatus

NO_ROLES = (
    "No roles are configured. `khive-supervisor capabilities list` shows some that are ready made."
)


def roles_text(roles: Sequence[RoleStatus], unserved: Mapping[str, int]) -> str:
    """A line for each role, its workers at work, and what is wrong; empty without any."""
    if not roles and not unserved:
        return ""
    parts = []
    if roles:
        head = ("role", "state", "generation", "ready", "queued", "at work", "restarts", "budget")
        parts.append(table(head, [_row(role) for role in roles]))
    parts += [_waiting(role) for role in roles if role.get("waiting")]
    parts += [f"{role['role']}: {role['last_error']}" for role in roles if role["last_error"]]
    parts += [
        f"{count} {'task waits' if count == 1 else 'tasks wait'} for the role {name}, which is not "
        "configured."
        for name, count in sorted(unserved.items())
    ]
    return "\n".join(parts)


def _waiting(role: RoleStatus) -> str:
    """What waits for something else than its turn; a release before this one tells of none."""
    count = role["waiting"]
    what = "task waits" if count == 1 else "tasks wait"
    return f"{role['role']}: {count} {what} for other tasks, a time or an approval."


def budget_word(role: Shown) -> str:
    """How the role's budget is, in a word; `-` without one."""
    state = str(role.get("budget", "unlimited"))
    return "-" if state == "unlimited" else state


def _row(role: RoleStatus) -> tuple[object, ...]:
    return (
        role["role"],
        role["state"],
        role["generation"] or "-",
        f"{role['workers_ready']} of {role['workers_wanted']}",
        role["queued"],
        role["leased"],
        role["restarts"],
        budget_word(role),
    )
