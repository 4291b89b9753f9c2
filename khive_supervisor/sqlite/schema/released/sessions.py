"""Statements of step 14: since when a client's session does what it does."""

from __future__ import annotations

#: `since`: when the state of now began, in unix seconds; of a session of before, when it was heard
#: of last.
SESSIONS: tuple[str, ...] = (
    "ALTER TABLE client_sessions ADD COLUMN since REAL NOT NULL DEFAULT 0",
    "UPDATE client_sessions SET since = seen_at",
)
