"""How much there is: entries by collection and namespace, and the sizes of the files."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import os
from collections.abc import Mapping

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.statements import LIVE
from khive_supervisor.store.model import StoreStats


def stats(database: Database, path: str) -> StoreStats:
    """See `interface.Store.stats`."""
    live = database.rows(
        f"SELECT collection, count(*) FROM entries WHERE {LIVE} GROUP BY collection"
    )
    deleted, superseded = database.rows(
        "SELECT ifnull(sum(deleted_at IS NOT NULL AND superseded_by IS NULL), 0), "
        "ifnull(sum(superseded_by IS NOT NULL), 0) FROM entries"
    )[0]
    return StoreStats(
        live=dict(live),
        namespaces=namespaces(database),
        deleted=deleted,
        superseded=superseded,
        schema_version=database.value("PRAGMA user_version"),
        file_bytes=_size(path),
        wal_bytes=_size(path + "-wal"),
    )


def namespaces(database: Database, collection: str | None = None) -> Mapping[str, int]:
    """See `interface.Store.namespaces`."""
    return dict(
        database.rows(
            f"SELECT namespace, count(*) FROM entries WHERE {LIVE} "
            "AND collection = ifnull(?, collection) GROUP BY namespace ORDER BY namespace",
            [collection],
        )
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
