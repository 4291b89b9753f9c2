"""Changes of rows in the form that SQLite's changesets have, which nodes apply.

The format is SQLite's: https://sqlite.org/session/changesetformat.html (comments of
sqlite3session.c). Functions of rows alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
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
    return _table(table, rows, _WHOLE, _update)


def patchset(table: TableShape, rows: Sequence[RowChange]) -> bytes:
    """Return the changes of a table's rows without what was there before; b"" without any."""
    return _table(table, rows, _PATCH, _update_alone)


def _table(
    table: TableShape,
    rows: Sequence[RowChange],
    form: bytes,
    update: Callable[[TableShape, Values, Values], bytes],
) -> bytes:
    told = [_row(table, row, form, update) for row in rows]
    return table.head(form) + found if (found := b"".join(told)) else b""


def _row(
    table: TableShape,
    row: RowChange,
    form: bytes,
    update: Callable[[TableShape, Values, Values], bytes],
) -> bytes:
    if row.after is None:
        if row.before is None:
            return b""
        told = row.before if form is _WHOLE else [row.before[at] for at in table.key_at]
        return _head(_DELETE) + b"".join(map(_value, told))
    if row.before is None:
        return _head(_INSERT) + b"".join(map(_value, row.after))
    return update(table, row.before, row.after)


def _update(table: TableShape, before: Values, after: Values) -> bytes:
    """Return the key and what has changed, as it was; then what has changed, as it is."""
    changed = [not _same(old, new) for old, new in zip(before, after, strict=True)]
    if not any(changed):
        return b""
    old = _some(before, [is_new or key > 0 for is_new, key in zip(changed, table.key, strict=True)])
    return _head(_UPDATE) + old + _some(after, changed)


def _update_alone(table: TableShape, before: Values, after: Values) -> bytes:
    """Return the key and what has changed, as it is."""
    changed = [not _same(old, new) for old, new in zip(before, after, strict=True)]
    if not any(changed):
        return b""
    told = [is_new or key > 0 for is_new, key in zip(changed, table.key, strict=True)]
    return _head(_UPDATE) + _some(after, told)


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
