"""What a transaction changes, recorded row by row.

SQLite's session extension does the same, and asks the schema anew for each table of each
transaction; that took a tenth of a team's write (ADR 79). What is remembered is what it remembers:
which rows were touched, and what they had before. What they have is looked for at the end, so that
what a savepoint or a statement has taken back is not told.
"""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import apsw

from khive_supervisor.sqlite.changes.changeset import (
    RowChange,
    TableShape,
    Values,
    changeset,
    patchset,
)


class TableShapes:
    """What tables a connection's database has; each is asked for once.

    Args:
        connection: whose schema stays as it is.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._known: dict[str, TableShape] = {}

    def of(self, table: str) -> TableShape:
        """Return a table's shape; what is no table has no columns."""
        if table not in self._known:
            info = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
            columns = tuple(str(name) for _, name, *_ in info)
            key = tuple(int(str(place)) for *_, place in info)
            key_at = tuple(at for at, place in enumerate(key) if place)
            self._known[table] = TableShape(table, columns, key, key_at)
        return self._known[table]


class ChangeRecorder:
    """Records the changes of some tables' rows from `attach` to `detach`.

    There is one at a time for a connection, and no `apsw.Session`: both use the same hook.
    Rows with NULL in their primary key are passed over, as by a session.
    """

    def __init__(
        self, connection: apsw.Connection, shapes: TableShapes, tables: Collection[str]
    ) -> None:
        self._connection = connection
        self._shapes = shapes
        self._tables = tables
        #: By table and key, what the rows had that were touched; None: they were not there.
        self._before: dict[str, dict[Values, Values | None]] = {}
        self._attached = False

    def attach(self) -> None:
        """Record from now on."""
        self._connection.preupdate_hook(self._note)
        self._attached = True

    def detach(self) -> None:
        """Record no more; what was recorded stays. Again is harmless."""
        if self._attached:
            self._connection.preupdate_hook(None)
            self._attached = False

    def changeset(self) -> bytes:
        """Return what has changed, with what was there before; b"" if nothing has."""
        return self._told(changeset)

    def patchset(self) -> bytes:
        """Return what has changed, without what was there before; b"" if nothing has."""
        return self._told(patchset)

    def _note(self, update: apsw.PreUpdate) -> None:
        table = update.table_name
        if table not in self._tables:
            return
        before, after = update.old, update.new
        touched = self._before.setdefault(table, {})
        places = self._shapes.of(table).key_at
        for values, had in ((before, before), (after, None)):
            if values is not None:
                key = tuple([values[at] for at in places])
                if None not in key:
                    touched.setdefault(key, had)

    def _told(self, tell: Callable[[TableShape, Sequence[RowChange]], bytes]) -> bytes:
        found = []
        for table, touched in self._before.items():
            shape = self._shapes.of(table)
            where = " AND ".join(f"{shape.columns[at]} = ?" for at in shape.key_at)
            sql = f"SELECT * FROM {table} WHERE {where}"
            rows = [RowChange(had, self._row(sql, key)) for key, had in touched.items()]
            found.append(tell(shape, rows))
        return b"".join(found)

    def _row(self, sql: str, key: Values) -> Values | None:
        return self._connection.execute(sql, key).fetchone()
