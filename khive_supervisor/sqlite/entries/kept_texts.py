"""All texts that are kept, in whatever table: looked through, and masked where they are."""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from khive_supervisor.redaction import detection
from khive_supervisor.redaction.gate import Mode, TextGate, places_in
from khive_supervisor.redaction.spans import without_private
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.purge import Purging
from khive_supervisor.sqlite.schema.texts import kept_texts, other_texts
from khive_supervisor.store.entries import FoundSecret, PurgeStore

#: Rows that are read at once.
_PAGE = 500
#: Bytes of a secret that are looked for in files.
_LOOKED_FOR = 64
#: What is there beside the columns that can be masked: never changed, only told.
AUDITS = (("audit", "detail"), ("audit_of_nodes", "detail"))
#: Letters before the numbers of rows, as people see them.
_LETTERS = {"tasks": "t", "audit": "entry ", "audit_of_nodes": "entry "}


class PurgeTable(Purging, PurgeStore):
    """`PurgeStore` on SQLite; what removes is in `Purging`."""

    def holders(self, needle: bytes) -> list[str]:
        found = []
        for table, column in (*kept_texts(), *AUDITS):
            rows = self._database.rows(
                f"SELECT {_number(self._database, table)} FROM {table} "
                f"WHERE instr(CAST({column} AS BLOB), ?) LIMIT 4",
                [needle],
            )
            if rows:
                names = ", ".join(f"{_LETTERS.get(table, 'row ')}{row[0]}" for row in rows[:3])
                more = " and more" if len(rows) > 3 else ""
                found.append(f"{table}.{column} of {names}{more}")
        return found + self._other_holders(needle)

    def _other_holders(self, needle: bytes) -> list[str]:
        """Return columns that hold some bytes and nobody's text: names, vectors, the schema."""
        columns = [*other_texts(), ("vectors", "data"), ("sqlite_schema", "sql")]
        return [
            f"{table}.{column}"
            for table, column in columns
            if self._database.rows(
                f"SELECT 1 FROM {table} WHERE instr(CAST({column} AS BLOB), ?) LIMIT 1", [needle]
            )
        ]

    def secrets(self) -> Iterator[FoundSecret]:
        for table, column in (*kept_texts(), *AUDITS):
            for row, text in self._texts(table, column):
                for place in _places(text):
                    yield FoundSecret(table, column, row, place)

    def _texts(self, table: str, column: str) -> Iterator[tuple[int, str]]:
        number = _number(self._database, table)
        live = " AND purged_at IS NULL" if table == "entries" else ""
        after, offset = -(1 << 63), 0
        while True:
            rows = self._database.rows(
                f"SELECT {number}, {column} FROM {table} WHERE {number} >= ? "
                f"AND length({column}) >= 8{live} ORDER BY {number} LIMIT ? OFFSET ?",
                [after, _PAGE, offset],
            )
            yield from rows
            if len(rows) < _PAGE:
                return
            # Several rows can have one number where a table has no numbers of its own.
            same = sum(row[0] == rows[-1][0] for row in rows)
            offset = offset + _PAGE if same == _PAGE else same
            after = rows[-1][0]

    def values(self, found: Sequence[FoundSecret]) -> list[bytes]:
        values: dict[bytes, None] = {}
        for one in found:
            for text in self._text_of(one):
                values |= dict.fromkeys(_secret_bytes(text))
        return list(values)

    def _text_of(self, found: FoundSecret) -> list[str]:
        number = _number(self._database, found.table)
        rows = self._database.rows(
            f"SELECT {found.column} FROM {found.table} WHERE {number} = ?", [found.row]
        )
        return [row[0] for row in rows if row[0] is not None]

    def mask(self, found: Sequence[FoundSecret]) -> int:
        gate = TextGate(Mode.MASK)
        changed = 0
        with self._overwriting(), self._database.write():
            for table, column, row in dict.fromkeys((f.table, f.column, f.row) for f in found):
                if table == "entries" or (table, column) in AUDITS:
                    continue
                changed += self._mask_column(gate, FoundSecret(table, column, row, ""))
        return changed

    def _mask_column(self, gate: TextGate, place: FoundSecret) -> int:
        changed = 0
        for text in self._text_of(place):
            masked = _masked(gate, text)
            # The old text is bound as bytes: as a text it would be masked, too.
            changed += self._database.changed(
                f"UPDATE {place.table} SET {place.column} = ? "
                f"WHERE CAST({place.column} AS BLOB) = ? "
                f"AND {_number(self._database, place.table)} = ?",
                [self._database.gate.passed(masked), text.encode(), place.row],
            )
        return changed


def _number(database: Database, table: str) -> str:
    """Return what numbers the rows of a table: its own number, or the entry that it is about."""
    if table == "entry_sources":
        return "entry_id"
    columns = [row[0] for row in database.rows("SELECT name FROM pragma_table_info(?)", [table])]
    return next(name for name in ("id", "seq", "entry_id", "rowid") if name in (*columns, "rowid"))


def _data(text: str) -> Any:
    """Return what a column of JSON holds; None for any other text."""
    if text[:1] not in '{["':
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _places(text: str) -> Iterator[str]:
    data = _data(text)
    if data is not None:
        yield from (place.lstrip("., ") for place in places_in(data, ""))
        return
    for one in detection.find(text):
        line, column = detection.place(text, one.start)
        yield f"line {line}, column {column} ({one.rule})"
    if without_private(text) != text:
        yield "a private span"


def _masked(gate: TextGate, text: str) -> str:
    data = _data(text)
    if data is None:
        return gate.written(text)
    return json.dumps(gate.written_data(data), sort_keys=True, separators=(",", ":"))


def _secret_bytes(text: str) -> Iterator[bytes]:
    for one in detection.find(text):
        yield text[one.start : one.end].encode()[:_LOOKED_FOR]
