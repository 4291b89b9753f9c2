"""Statements that let tasks be done by agents, in directories of their own, for capabilities."""

from __future__ import annotations

#: `cwd` is the caller's directory. `agent_session` can be resumed by an attempt that follows, and
#: `agent_counted` is what it had counted by then. `place` says what is left in the task's own
#: directory, as JSON.
AGENTS: tuple[str, ...] = (
    "ALTER TABLE tasks ADD COLUMN cwd TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD COLUMN agent_session TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD COLUMN agent_counted INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN place TEXT CHECK (place IS NULL OR json_valid(place))",
)

#: What capabilities add to the tables of roles.
ROLE_PRIORITY = ("ALTER TABLE roles ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",)
