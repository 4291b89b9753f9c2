"""All views: what each asks for, what it makes of it, and by which template."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khive_supervisor.overview import now
from khive_workers.desk.views import (
    agents,
    audit,
    channels,
    entry,
    health,
    memory,
    profiles,
    review,
    workflows,
)
from khive_workers.desk.views.wishes import Page, Query, Reply, Wish


@dataclass(frozen=True, slots=True)
class View:
    """One view: pure functions of a query, of what came of its wishes, and of the time."""

    title: str
    template: str
    wishes: Callable[[Query], Sequence[Wish]]
    page: Callable[[Sequence[Reply], Query, float], Page]


BY_PATH = {
    "/": View("Now", "now.html", now.wishes, now.page),
    "/memory": View("Memory", "memory.html", memory.wishes, memory.page),
    "/memory/review": View("Memory", "review.html", review.wishes, review.page),
    "/profiles": View("Profiles", "profiles.html", profiles.wishes, profiles.page),
    "/agents": View("Agents", "agents.html", agents.wishes, agents.page),
    "/workflows": View("Workflows", "workflows.html", workflows.wishes, workflows.page),
    "/channels": View("Channels", "channels.html", channels.wishes, channels.page),
    "/audit": View("Audit", "audit.html", audit.wishes, audit.page),
    "/health": View("Health", "health.html", health.wishes, health.page),
}
_ENTRY = View("Memory", "entry.html", entry.wishes, entry.page)
_ENTRY_PATH = re.compile(r"/memory/([a-z][1-9][0-9]{0,17})")


def find(path: str, query: Query) -> tuple[View, Query] | None:
    """Return the view of a path, and its query with what the path names; None if there is none."""
    if path in BY_PATH:
        return BY_PATH[path], query
    named = _ENTRY_PATH.fullmatch(path)
    return (_ENTRY, {**query, "id": named[1]}) if named else None
