"""The rows that say which index file is to be trusted."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

from typing import Any

from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.vectors import Generation, GenerationStore

_COLUMNS = (
    "generation, model_id, file, sha256, fingerprint, bytes, dim, metric, items, trees, "
    "covered_seq, max_entry_id, direct, created_at"
)

#: The fields of `Generation` in the order of the columns, and last whether it is current.
_FIELDS = [*_COLUMNS.replace("dim,", "dimensions,").split(", "), "current"]


class GenerationTable(GenerationStore):
    """`GenerationStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, model_id: str) -> Generation | None:
        found = self._select("WHERE model_id = ? AND state = 'current'", [model_id])
        return found[0] if found else None

    def all(self) -> list[Generation]:
        return self._select("ORDER BY generation", [])

    def _select(self, tail: str, bindings: list[str]) -> list[Generation]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS}, state = 'current' FROM generations {tail}", bindings
        )
        return [_generation(row) for row in rows]

    def next_number(self) -> int:
        return int(self._database.value("SELECT ifnull(max(generation), 0) + 1 FROM generations"))

    def publish(self, generation: Generation) -> None:
        g = generation
        with self._database.write(local=True):
            if self._database.value(
                "SELECT 1 FROM generations WHERE generation = ?", [g.generation]
            ):
                raise StoreError(
                    f"Generation {g.generation} of the index exists already.",
                    hint="Two builders must not share an index directory; start one again.",
                )
            self._database.rows(
                "UPDATE generations SET state = 'retired' WHERE model_id = ?", [g.model_id]
            )
            self._database.rows(
                f"INSERT INTO generations ({_COLUMNS}, state) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'current')",
                [g.generation, g.model_id, g.file, g.sha256, g.fingerprint, g.bytes, g.dimensions,
                 g.metric, g.items, g.trees, g.covered_seq, g.max_entry_id, int(g.direct),
                 g.created_at],
            )  # fmt: skip

    def retire_except(self, model_id: str) -> int:
        with self._database.write(local=True):
            return self._database.changed(
                "UPDATE generations SET state = 'retired' "
                "WHERE model_id <> ? AND state = 'current'",
                [model_id],
            )

    def remove(self, generation: int) -> bool:
        with self._database.write(local=True):
            return bool(
                self._database.changed(
                    "DELETE FROM generations WHERE generation = ? AND state = 'retired'",
                    [generation],
                )
            )


def _generation(row: tuple[Any, ...]) -> Generation:
    values = dict(zip(_FIELDS, row, strict=True))
    values["direct"] = bool(values["direct"])
    values["current"] = bool(values["current"])
    return Generation(**values)
