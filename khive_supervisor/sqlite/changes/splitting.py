"""What a transaction has changed, split by the namespaces that the rows are of."""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

from collections.abc import Callable, Iterator

import apsw

from khive_supervisor.sqlite.changes.recording import TableShapes
from khive_supervisor.sqlite.schema.shared import BELONGS, Belongs, needed, needed_of
from khive_supervisor.team.parts import TEAM, UNDIVIDED, WHOLE, ChangePart, PartedChange

#: The schema from which on changes are in parts; before, all was in one.
PARTED_SINCE = 14
#: The schema from which on a change may be in one part again, where all members see everything.
UNDIVIDED_SINCE = 15
#: What a changeset has of a table's name before the rows of entries.
_ENTRIES = b"entries\0"
#: What a namespace's column has where the row is of none; `*` is that of bindings for all.
_NO_NAMESPACE = ("", "*", None)
#: Tables whose rows others name: they say what namespace those are of.
_NAMED = frozenset(table for one in BELONGS.values() for _, table in one.names)


def whole(changes: bytes) -> PartedChange:
    """Return a change in one part, as nodes of the first release with teams apply it."""
    return PartedChange((ChangePart(TEAM, changes),), schema=needed(changes))


def builder() -> apsw.ChangesetBuilder:
    """Return what puts a changeset together."""
    return apsw.ChangesetBuilder()  # type: ignore[no-untyped-call]  # it says nothing of itself


class ChangeSplitter:
    """Says of which part rows are, by what the database has while the change is in it.

    Args:
        connection: whose database it is; the schema stays as it is.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.shapes = TableShapes(connection)
        #: By table and id, of what part a row is that others may name.
        self._known: dict[tuple[str, object], str] = {}

    def reads(self, connection: apsw.Connection) -> bool:
        """Return whether it says it by what this connection has."""
        return self._connection is connection

    def split(self, changes: bytes, sent: bytes = b"") -> PartedChange:
        """Return a change in its parts. A table that is not shared has no part in it.

        Args:
            changes: what was changed, with what was there before.
            sent: the same as the parts are to have it, if not as it is: as a patchset.
        """
        self.read(changes)
        builders = {TEAM: builder()}
        marks: dict[str, int] = {}
        purges = False
        pairs = zip(apsw.Changeset.iter(changes), apsw.Changeset.iter(sent or changes), strict=True)
        for row, told in pairs:
            if row.name not in BELONGS:
                continue
            name = self.part_of(row)
            if name not in builders:
                builders[name] = builder()
            builders[name].add_change(told)
            if row.op == "INSERT":
                self._mark(row, marks)
            purges = purges or self.purged(row)
        parts = tuple(ChangePart(name, one.output()) for name, one in sorted(builders.items()))
        return PartedChange(parts, marks, purges, max(PARTED_SINCE, needed(changes)))

    def undivided(self, changes: bytes, told: Callable[[], bytes]) -> PartedChange:
        """Return a change in one part, for a team whose members all see everything.

        Args:
            changes: what was changed, with what was there before.
            told: gives the same without what was there before; asked if that is not to travel.
        """
        tables, purges = set[str](), False
        for row in apsw.Changeset.iter(changes):
            tables.add(row.name)
            purges = purges or self.purged(row)
        part = ChangePart(UNDIVIDED, told() if purges else changes)
        return PartedChange((part,), {}, purges, max(UNDIVIDED_SINCE, needed_of(tables)))

    def given_text(self, changes: bytes) -> list[int]:
        """Return the entries that get their text by a change."""
        rows = apsw.Changeset.iter(changes) if _ENTRIES in changes else ()
        return [self.entry(row) for row in rows if self.gives_text(row)]

    def entry(self, row: apsw.TableChange) -> int:
        """Return which entry a change of the entries is of."""
        return int(str(self.value(row, "id")))

    def read(self, changes: bytes) -> None:
        """Note of what part the rows are that a change brings or removes, and others may name."""
        self._known.clear()
        for row in apsw.Changeset.iter(changes):
            if row.name in _NAMED and row.op != "UPDATE":
                part = self._own(BELONGS[row.name], row)
                self._known[row.name, self.value(row, "id")] = part

    def part_of(self, row: apsw.TableChange) -> str:
        """Return the name of the part that a row is of, after `read` of its change."""
        belongs = BELONGS[row.name]
        if belongs.audit:
            return WHOLE
        for table, id_ in self.named(row):
            return self._part_of_row(table, id_)
        return self._own(belongs, row)

    def named(self, row: apsw.TableChange) -> Iterator[tuple[str, object]]:
        """Give the table and the id of each row of another table that a row names."""
        belongs = BELONGS[row.name]
        if belongs.only is not None and self.value(row, belongs.only[0]) != belongs.only[1]:
            return
        for column, table in belongs.names:
            if id_ := self.value(row, column):
                yield table, id_

    def _own(self, belongs: Belongs, row: apsw.TableChange) -> str:
        found = self.value(row, belongs.namespace) if belongs.namespace else TEAM
        return TEAM if found in _NO_NAMESPACE else str(found)

    def _part_of_row(self, table: str, id_: object) -> str:
        key = (table, id_)
        if key not in self._known:
            column = BELONGS[table].namespace
            rows = self._rows(f"SELECT {column} FROM {table} WHERE id = ?", (id_,))
            # Of a row that is gone nobody knows whose it was: those see it who see everything.
            found = rows[0][0] if rows else WHOLE
            self._known[key] = TEAM if found in _NO_NAMESPACE else str(found)
        return self._known[key]

    def has(self, table: str, id_: object) -> bool:
        """Return whether a row that others may name is here, or comes with the change."""
        if (table, id_) in self._known:
            return self._known[table, id_] != WHOLE
        return bool(self._rows(f"SELECT 1 FROM {table} WHERE id = ?", (id_,)))

    def value(self, row: apsw.TableChange, column: str) -> object:
        """Return what a column has after a change, or had before the row was removed."""
        columns = self.shapes.of(row.name).columns
        if column not in columns:
            return None
        found = self._told(row, columns.index(column))
        if found is not apsw.no_change:
            return found
        rows = self._here(row, column)
        return rows[0][0] if rows else None

    def _here(self, row: apsw.TableChange, column: str) -> list[tuple[object, ...]]:
        """Return what is here of the row that a change is of."""
        shape = self.shapes.of(row.name)
        where = " AND ".join(f"{shape.columns[at]} IS ?" for at in shape.key_at)
        values = tuple(self._told(row, at) for at in shape.key_at)
        return self._rows(f"SELECT {column} FROM {row.name} WHERE {where}", values)

    def _told(self, row: apsw.TableChange, at: int) -> object:
        """Return what a change itself says of a column."""
        for values in (row.new, row.old):
            if values is not None and at < len(values) and values[at] is not apsw.no_change:
                return values[at]
        return apsw.no_change

    def _mark(self, row: apsw.TableChange, marks: dict[str, int]) -> None:
        key = self.shapes.of(row.name).key_at
        if len(key) == 1 and isinstance(at := self._told(row, key[0]), int):
            marks[row.name] = max(at, marks.get(row.name, 0))

    def part_there(self, row: apsw.TableChange) -> str | None:
        """Return of what part the row is that a change is of, as it is here; None: it is not."""
        belongs = BELONGS[row.name]
        if belongs.audit:
            return WHOLE
        found = self._here(row, "*")
        if not found:
            return None
        here = dict(zip(self.shapes.of(row.name).columns, found[0], strict=True))
        if belongs.only is None or here[belongs.only[0]] == belongs.only[1]:
            for column, table in belongs.names:
                if here[column]:
                    return self.part_of_there(table, here[column])
        own = here[belongs.namespace] if belongs.namespace else TEAM
        return TEAM if own in _NO_NAMESPACE else str(own)

    def part_of_there(self, table: str, id_: object) -> str | None:
        """Return of what part a row is that others name, as it is here; None: it is not."""
        found = self._rows(f"SELECT {BELONGS[table].namespace} FROM {table} WHERE id = ?", (id_,))
        if not found:
            return None
        return TEAM if found[0][0] in _NO_NAMESPACE else str(found[0][0])

    def last(self, table: str) -> int:
        """Return the highest number that a table has given to a row."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(str(rows[0][0])) if rows else 0

    def purges(self, changes: bytes) -> bool:
        """Return whether a change removes entries for good."""
        return any(self.purged(row) for row in apsw.Changeset.iter(changes))

    def gives_text(self, row: apsw.TableChange) -> bool:
        """Return whether a change gives an entry its text."""
        if row.name != "entries" or row.new is None:
            return False
        return row.new[self._at("content")] not in (apsw.no_change, "")

    def purged(self, row: apsw.TableChange) -> bool:
        """Return whether a change removes an entry for good."""
        if row.name != "entries" or row.op != "UPDATE":
            return False
        return row.new is not None and row.new[self._at("purged_at")] not in (apsw.no_change, None)

    def _at(self, column: str) -> int:
        """Return where a column of the entries is."""
        return self.shapes.of("entries").columns.index(column)

    def _rows(self, sql: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = self._connection.execute(sql, values).fetchall()
        return found
