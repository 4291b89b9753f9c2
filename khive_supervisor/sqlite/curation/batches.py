"""Batches that were done under a key, so that the same one is not done twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.curation import BatchLog, KnownBatch

#: Batches that are kept, of all namespaces.
KEPT = 1000


class BatchTable(BatchLog):
    """`BatchLog` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def find(self, namespace: str, key: str) -> KnownBatch | None:
        rows = self._database.rows(
            "SELECT digest, at, ids FROM batches WHERE namespace = ? AND key = ?", [namespace, key]
        )
        return KnownBatch(rows[0][0], rows[0][1], tuple(json.loads(rows[0][2]))) if rows else None

    def note(self, namespace: str, key: str, digest: bytes, ids: Sequence[str]) -> None:
        gate = self._database.gate
        with self._database.write():
            number = self._database.insert(
                "batches", namespace=gate.said(namespace, "namespace"), key=gate.said(key, "key"),
                digest=digest, at=self._clock(), ids=json.dumps(list(ids)),
            )  # fmt: skip
            # One of no namespace says which waiting call of a node was applied last.
            sql = "DELETE FROM batches WHERE id <= ? AND namespace <> ''"
            self._database.rows(sql, [number - KEPT])
