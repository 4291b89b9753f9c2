"""What other nodes have changed, applied to this node's replica in the order of its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import apsw

from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.team import replica
from khive_supervisor.team.order import LoggedChange, LogPosition, following

#: A trigger that counts what it is on: the table, and the kind under which it is counted.
_COUNTER = re.compile(
    r" ON (\w+)\b.*UPDATE changes SET count = count \+ 1 WHERE kind = '(\w+)'", re.DOTALL
)


class Diverged(StoreError):
    """A change does not fit what is here: this replica is not what the others are."""


class Applier:
    """Applies changes; has a connection of its own, on which neither trigger nor reference acts."""

    def __init__(self, database: Database, entries: EntryTable) -> None:
        self._database = database
        self._entries = entries
        with self._database.raw() as connection:
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA synchronous = NORMAL")
            triggers = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
            found = [_COUNTER.search(str(sql)) for (sql,) in triggers.fetchall()]
        #: By table, under which kind a change of it is counted.
        self._counted = {match[1]: match[2] for match in found if match}

    def position(self) -> LogPosition:
        """Return the last change that is in here."""
        with self._database.raw() as connection:
            return replica.position(connection)

    def apply(self, changes: Sequence[LoggedChange]) -> LogPosition:
        """Apply what is newer than what is here; return the position that this leads to.

        One transaction: all of it or nothing.

        Raises:
            Diverged: one of them does not fit.
            OutOfOrder, SchemaAhead: they are not what follows.
            KhiveError: the replica cannot be written now.
        """
        with self._database.write(), self._database.raw() as connection:
            here = replica.position(connection)
            newer = following(here.number, changes, NEWEST)
            tables: set[str] = set()
            entries: set[int] = set()
            for change in newer:
                _apply_one(connection, change)
                _note(change.changes, tables, entries)
            self._entries.follow(sorted(entries))
            self._count(tables)
            if newer:
                here = LogPosition(newer[-1].number, newer[-1].nonce)
                replica.advance(connection, here)
        return here

    def _count(self, tables: Iterable[str]) -> None:
        """Let this machine's processes see that these have changed, as the triggers would."""
        for kind in {self._counted[table] for table in tables if table in self._counted}:
            self._database.rows("UPDATE changes SET count = count + 1 WHERE kind = ?", [kind])


def _apply_one(connection: apsw.Connection, change: LoggedChange) -> None:
    clashes: list[str] = []

    def conflict(reason: int, row: apsw.TableChange) -> int:
        why = apsw.mapping_session_conflict.get(reason, reason)
        clashes.append(f"{row.op} of {row.name}: {why}")
        return apsw.SQLITE_CHANGESET_ABORT

    try:
        apsw.Changeset.apply(change.changes, connection, conflict=conflict)
    except apsw.AbortError:
        raise Diverged(
            f"Change {change.number} does not fit this node's replica ({'; '.join(clashes)}).",
            hint="It is taken anew from the server; if that happens again, report it.",
        ) from None


def _note(changes: bytes, tables: set[str], entries: set[int]) -> None:
    """Note which tables changes touch, and which entries' words may be other ones now."""
    for row in apsw.Changeset.iter(changes):
        tables.add(row.name)
        if row.name == "entries":
            values: Any = row.new if row.op == "INSERT" else row.old
            entries.add(int(values[0]))
