"""Changes of rows in the form that SQLite's changesets have, which nodes apply.

The format is SQLite's: https://sqlite.org/session/changesetformat.html (comments of
sqlite3session.c). Functions of rows alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

#: What a column can have.
Value = int | float | str | bytes | None
Values = Sequence[Value]

_INSERT, _DELETE, _UPDATE = 18, 9, 23
_UNDEFINED, _INTEGER, _REAL, _TEXT, _BLOB, _NULL = b"\0", b"\1", b"\2", b"\3", b"\4", b"\5"
_DIRECT = b"\0"
_WHOLE, _PATCH = b"T", b"P"
_integer = struct.Struct(">cq").pack
_real = struct.Struct(">cd").pack


@dataclass(frozen=True, slots=True)
class TableShape:
    """What a change has to say of a table.

    Attributes:
        columns: their names, in the table's order.
        key: for each column its place in the primary key from 1, or 0.
        key_at: where the columns of the primary key are, in the table's order.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[int, ...]
    key_at: tuple[int, ...]

    def head(self, form: bytes) -> bytes:
        """Return what stands before the table's rows."""
        count = len(self.columns)
        return form + _varint(count) + bytes(self.key) + self.name.encode() + b"\0"


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a row had in its columns, and has now; None: it was not there, or is gone."""

    before: Values | None
    after: Values | None


def changeset(table: TableShape, rows: Sequence[RowChange]) -> bytes:
    """Return the changes of a table's rows with what was there before; b"" without any."""
    return _table(table, rows, _WHOLE)


def patchset(table: TableShape, rows: Sequence[RowChange]) -> bytes:
    """Return the changes of a table's rows without what was there before; b"" without any."""
    return _table(table, rows, _PATCH)


def _table(table: TableShape, rows: Sequence[RowChange], form: bytes) -> bytes:
    told = b"".join([_row(table, row, form) for row in rows])
    return table.head(form) + told if told else b""


def _row(table: TableShape, row: RowChange, form: bytes) -> bytes:
    before, after = row.before, row.after
    if before is not None and after is not None:
        return _update(table, before, after, form)
    if after is not None:
        return _head(_INSERT) + b"".join(map(_value, after))
    if before is None:
        return b""
    told = before if form is _WHOLE else [before[at] for at in table.key_at]
    return _head(_DELETE) + b"".join(map(_value, told))


def _update(table: TableShape, before: Values, after: Values, form: bytes) -> bytes:
    """Return the key with what has changed, as it was; then what has changed, as it is.

    A patch has what has changed alone, with the key.
    """
    changed = [not _same(old, new) for old, new in zip(before, after, strict=True)]
    if not any(changed):
        return b""
    found = [is_new or key > 0 for is_new, key in zip(changed, table.key, strict=True)]
    if form is _PATCH:
        return _head(_UPDATE) + _some(after, found)
    return _head(_UPDATE) + _some(before, found) + _some(after, changed)


def _head(operation: int) -> bytes:
    return bytes((operation,)) + _DIRECT


def _same(old: Value, new: Value) -> bool:
    return type(old) is type(new) and old == new


def _some(values: Values, told: Sequence[bool]) -> bytes:
    return b"".join(
        _value(value) if is_told else _UNDEFINED
        for value, is_told in zip(values, told, strict=True)
    )


def _value(value: Value) -> bytes:
    if value is None:
        return _NULL
    if isinstance(value, str):
        data = value.encode()
        return _TEXT + _varint(len(data)) + data
    if isinstance(value, int):
        return _integer(_INTEGER, value)
    if isinstance(value, float):
        return _real(_REAL, value)
    return _BLOB + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    """Return a length as SQLite writes it: seven bits a byte, the highest first."""
    if number < 0x80:
        return bytes((number,))
    found = [number & 0x7F]
    while number := number >> 7:
        found.append(number & 0x7F | 0x80)
    return bytes(reversed(found))
