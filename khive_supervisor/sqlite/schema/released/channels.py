"""Statements of step 13: notifications that are on their way."""

from __future__ import annotations

#: `channels`: `seq` is the last entry of the audit chain that was looked at for a channel.
#: `deliveries`: one message for one channel; `key` is what its receiver tells repetitions by, and
#: `message` is JSON. `due_at` was set at `set_at`, by the same clock: if that is in the future, the
#: clock was set back. A message without a subject tells of several things.
#: `signals`: what was last seen of what is no entry of the chain.
CHANNELS: tuple[str, ...] = (
    """
    CREATE TABLE channels (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        name       TEXT NOT NULL UNIQUE,
        seq        INTEGER NOT NULL,
        since      REAL NOT NULL,
        problem    TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    """
    CREATE TABLE deliveries (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
        key        TEXT NOT NULL,
        kind       TEXT NOT NULL,
        subject    TEXT NOT NULL,
        message    TEXT NOT NULL,
        state      TEXT NOT NULL
                   CHECK (state IN ('gathering', 'waiting', 'sent', 'dead', 'joined')),
        made_at    REAL NOT NULL,
        due_at     REAL NOT NULL,
        set_at     REAL NOT NULL,
        attempts   INTEGER NOT NULL DEFAULT 0,
        ended_at   REAL,
        error      TEXT NOT NULL DEFAULT '',
        UNIQUE (channel_id, key)
    ) STRICT
    """,
    "CREATE INDEX deliveries_open ON deliveries (channel_id, state, id)",
    """
    CREATE INDEX deliveries_subject ON deliveries (channel_id, subject, id)
        WHERE state = 'waiting'
    """,
    """
    CREATE TABLE signals (
        name       TEXT PRIMARY KEY,
        state      TEXT NOT NULL,
        at         REAL NOT NULL
    ) STRICT
    """,
)
