"""What two files hold, table by table, in one canonical form: whether a move has lost anything."""

# ruff: noqa: S608 - statements are put together from this package's constants
from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

import apsw

from khive_supervisor.sqlite.schema.shared import SHARED

#: Columns that say which node something is of: a store of one machine has none.
_OF_NODES = frozenset({"node"})


@dataclass(frozen=True, slots=True)
class TableContent:
    """How many rows a table has, and a digest of all of them in the order of their keys."""

    rows: int
    digest: bytes


def contents(connection: apsw.Connection) -> dict[str, TableContent]:
    """Return what a file's shared tables hold, but for which node something is of."""
    return {table: _content(connection, table) for table in sorted(SHARED)}


def _content(connection: apsw.Connection, table: str) -> TableContent:
    columns = [str(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    told = [name for name in columns if name not in _OF_NODES]
    found, rows = hashlib.sha256(), 0
    # By all that is told: rows of equal keys on two nodes are in one order, too.
    order = ", ".join(_key(connection, table, told))
    for row in connection.execute(f"SELECT {', '.join(told)} FROM {table} ORDER BY {order}"):
        found.update(repr(row).encode("utf-8", "surrogatepass"))
        rows += 1
    return TableContent(rows, found.digest())


def _key(connection: apsw.Connection, table: str, told: Collection[str]) -> list[str]:
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    key = [(int(str(place)), str(name)) for _, name, _, _, _, place in info if place]
    return [name for _, name in sorted(key) if name in told]


def differing(
    one: dict[str, TableContent], two: dict[str, TableContent], left_out: Collection[str] = ()
) -> list[str]:
    """Return the tables that do not hold the same."""
    return [table for table in one if table not in left_out and one[table] != two.get(table)]
