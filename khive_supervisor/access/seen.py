"""What of the supervisor's own state is for whoever asks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from khive_supervisor.access.grant import Grant
from khive_supervisor.text.plain_json import JsonObject

#: What a confined session learns of the supervisor.
OF_SESSION = ("state", "version")
#: What a command beneath one has to know as well, to find the supervisor and to wait for it.
OF_COMMAND = (*OF_SESSION, "pid", "prefix", "package", "uptime_seconds", "socket", "store",
              "config_file", "upgrade")  # fmt: skip
#: What it learns of each role: whether a task that it has assigned will be done.
OF_ROLE = ("role", "state")


def status_for(
    status: Mapping[str, Any], grant: Grant, own: Collection[str], kept: Collection[str]
) -> JsonObject:
    """Return the supervisor's status without the sessions of others, whose ids are not in `own`.

    A confined grant gets the names in `kept` alone.
    """
    if grant.operator:
        return dict(status)
    sessions = status.get("sessions", ())
    seen = [one for one in sessions if one.get("id") in own]
    if grant.confined:
        return {**{name: status[name] for name in kept if name in status}, "sessions": seen}
    return {**status, "sessions": seen, "sessions_open": len(sessions)}


def roles_for(roles: Mapping[str, Any], grant: Grant) -> JsonObject:
    """The roles as `roles.status` tells them: to a confined one, no more than how each is."""
    if not grant.confined:
        return dict(roles)
    rows = [{name: one[name] for name in OF_ROLE} for one in roles.get("roles", ())]
    return {"roles": [{**one, "last_error": ""} for one in rows]}
