"""The store in numbers: what it holds, and how often that has changed."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import os
from collections.abc import Mapping

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.store.model import ChangeCounts, StoreStats


def stats(database: Database, namespaces: Mapping[str, int]) -> StoreStats:
    """Return the store in numbers; `namespaces` are the live entries of each."""
    live = database.rows(
        f"SELECT collection, count(*) FROM entries WHERE {LIVE} GROUP BY collection"
    )
    deleted, superseded = database.rows(
        "SELECT ifnull(sum(deleted_at IS NOT NULL AND superseded_by IS NULL "
        "AND purged_at IS NULL), 0), "
        "ifnull(sum(superseded_by IS NOT NULL), 0) FROM entries"
    )[0]
    return StoreStats(
        live=dict(live),
        namespaces=namespaces,
        deleted=deleted,
        superseded=superseded,
        schema_version=database.value("PRAGMA user_version"),
        file_bytes=_size(database.path),
        wal_bytes=_size(database.path + "-wal"),
    )


def change_counts(database: Database) -> ChangeCounts:
    """Return the counters of changes: triggers count, so that no way to write can forget it.

    A replica that was taken anew has another past than before, for whoever keeps something of it.
    """
    rows = database.rows(
        "SELECT CAST(name || (SELECT coalesce(max(epoch), '') FROM replica) AS BLOB), kind, count "
        "FROM past LEFT JOIN changes"
    )
    return ChangeCounts(bytes(rows[0][0]), {kind: count for _, kind, count in rows if kind})


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
