"""The tables of roles: which are configured, and how each did, a row for each day."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.tasks import RoleStore
from khive_supervisor.tasks.model import Record, RoleRow
from khive_supervisor.tasks.records import day_of

_ROLES = "role, task_types, digest, generation, workers, attempts, in_service, priority"
_RECORDS = (
    "role, task_type, digest, day, executions, successes, quality_sum, qualities, latency_sum"
)


class RoleTable(RoleStore):
    """`RoleStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], node: str = "") -> None:
        self._database = database
        self._clock = clock
        self._node = node

    def set(self, roles: Sequence[RoleRow]) -> None:
        with self._database.write():
            before = {row.role: row for row in self.own()}
            wanted = {row.role: row for row in roles}
            for gone in before.keys() - wanted.keys():
                self._database.rows(
                    "DELETE FROM roles WHERE node = ? AND role = ?", [self._node, gone]
                )
            for name, row in wanted.items():
                if before.get(name) != row:
                    self._database.rows(
                        f"INSERT OR REPLACE INTO roles ({_ROLES}, updated_at, node) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        [*_values(row), self._clock(), self._node],
                    )

    def all(self) -> list[RoleRow]:
        # This node's own row says how a role is here; else one of a node where it is in service.
        rows = self._database.rows(
            f"SELECT {_ROLES} FROM roles ORDER BY role, node <> ?, in_service DESC, node",
            [self._node],
        )
        found: dict[str, RoleRow] = {}
        for row in rows:
            found.setdefault(row[0], _role(row))
        return [*found.values()]

    def own(self) -> list[RoleRow]:
        rows = self._database.rows(
            f"SELECT {_ROLES} FROM roles WHERE node = ? ORDER BY role", [self._node]
        )
        return [_role(row) for row in rows]

    def records(self, role: str | None = None) -> list[Record]:
        rows = self._database.rows(
            f"SELECT {_RECORDS} FROM role_records WHERE role = ifnull(?, role) "
            "ORDER BY day, role, task_type, digest",
            [role],
        )
        return [Record(*row) for row in rows]

    def count(
        self,
        role: str,
        task_type: str,
        digest: str,
        wall: float,
        *,
        success: bool,
        quality: float | None,
        latency: float,
    ) -> None:
        """Add one execution; part of the transaction that accepts its outcome."""
        self._database.rows(
            f"INSERT INTO role_records ({_RECORDS}) "
            "VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET executions = executions + 1, "
            "successes = successes + excluded.successes, "
            "quality_sum = quality_sum + excluded.quality_sum, "
            "qualities = qualities + excluded.qualities, "
            "latency_sum = latency_sum + excluded.latency_sum",
            [role, task_type, digest, day_of(wall), int(success), quality or 0.0,
             int(quality is not None), latency],
        )  # fmt: skip

    def rate(self, key: tuple[str, str, str, int], before: float | None, quality: float) -> None:
        """Replace one execution's quality by another."""
        self._database.rows(
            "UPDATE role_records SET quality_sum = quality_sum + ?, qualities = qualities + ? "
            "WHERE role = ? AND task_type = ? AND digest = ? AND day = ?",
            [quality - (before or 0.0), int(before is None), *key],
        )


def _values(row: RoleRow) -> list[Any]:
    return [
        row.role,
        json.dumps(list(row.task_types)),
        row.digest,
        row.generation,
        row.workers,
        row.attempts,
        int(row.in_service),
        row.priority,
    ]


def _role(row: tuple[Any, ...]) -> RoleRow:
    fields = list(row)
    fields[1] = tuple(json.loads(row[1]))
    fields[6] = bool(row[6])
    return RoleRow(*fields)
