"""What a transaction has changed is told as SQLite's own session tells it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.sqlite.changes.recording import ChangeRecorder, TableShapes

_SCHEMA = """
CREATE TABLE plain (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b TEXT DEFAULT 'x', c REAL);
CREATE TABLE paired (a TEXT, n INTEGER, v BLOB, PRIMARY KEY (n, a)) STRICT, WITHOUT ROWID;
CREATE TABLE loose (a TEXT, v, PRIMARY KEY (a));
CREATE TABLE child (
    id INTEGER PRIMARY KEY, parent INTEGER REFERENCES plain (id) ON DELETE CASCADE, UNIQUE (parent)
);
CREATE TABLE other (id INTEGER PRIMARY KEY, v);
CREATE TRIGGER copied AFTER INSERT ON plain BEGIN
    INSERT OR REPLACE INTO loose (a, v) VALUES ('of ' || new.id, new.a);
    INSERT INTO other (v) VALUES (new.a);
END;
"""
_TABLES = frozenset({"plain", "paired", "loose", "child"})

Step = tuple[str, tuple[Any, ...]]

_ids = st.integers(1, 4)
_names = st.sampled_from(["", "a", "é", "z" * 200])
_values = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.binary(max_size=300),
)  # fmt: skip
_blobs = st.one_of(st.none(), st.binary(max_size=3))
_maybe_names = st.one_of(st.none(), _names)


def _step(sql: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(sql), st.tuples(*values))


_UPSERT = "INSERT INTO paired VALUES (?, ?, ?) ON CONFLICT (n, a) DO UPDATE SET v = excluded.v"
_steps = st.one_of(
    _step("INSERT INTO plain (a, c) VALUES (?, ?)", _values, st.one_of(st.none(), st.floats(0, 1))),
    _step("INSERT INTO plain (id, a) VALUES (?, ?)", _ids, _values),
    _step("REPLACE INTO plain (id, a) VALUES (?, ?)", _ids, _values),
    _step("INSERT OR IGNORE INTO plain (id, a) VALUES (?, ?)", _ids, _values),
    _step("UPDATE plain SET a = ? WHERE id = ?", _values, _ids),
    _step("UPDATE plain SET id = ? WHERE id = ?", _ids, _ids),
    _step("UPDATE plain SET b = b || 'y', c = 1.5"),
    _step("DELETE FROM plain WHERE id = ?", _ids),
    _step("DELETE FROM plain"),
    _step("INSERT INTO paired VALUES (?, ?, ?)", _names, _ids, _blobs),
    _step(_UPSERT, _names, _ids, _blobs),
    _step("UPDATE paired SET n = ?, v = ? WHERE a = ?", _ids, _blobs, _names),
    _step("DELETE FROM paired WHERE n = ?", _ids),
    _step("INSERT INTO loose VALUES (?, ?)", _maybe_names, _values),
    _step("UPDATE loose SET a = ? WHERE a IS ?", _maybe_names, _maybe_names),
    _step("DELETE FROM loose"),
    _step("INSERT INTO child (parent) VALUES (?)", _ids),
    # The last of its rows may be refused: what it has written of the others is taken back.
    _step("INSERT INTO child (parent) SELECT id FROM plain UNION ALL SELECT ?", _ids),
    _step("SAVEPOINT part"),
    _step("ROLLBACK TO part"),
    _step("RELEASE part"),
)


def _made(first: list[Step]) -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(_SCHEMA)
    _run(connection, first)
    connection.execute("COMMIT")
    return connection


def _run(connection: apsw.Connection, steps: list[Step]) -> None:
    connection.execute("BEGIN")
    for sql, values in steps:
        with contextlib.suppress(apsw.Error):  # as where a caller goes on
            connection.execute(sql, values)


def _told(changes: bytes) -> list[object]:
    rows = apsw.Changeset.iter(changes)
    told = [(row.name, row.op, _typed(row.old), _typed(row.new), row.pk_columns) for row in rows]
    return sorted(told, key=repr)


def _typed(values: tuple[Any, ...] | None) -> object:
    return None if values is None else [(type(value), value) for value in values]


@contextlib.contextmanager
def _recorded(connection: apsw.Connection) -> Iterator[ChangeRecorder]:
    recorder = ChangeRecorder(connection, TableShapes(connection), _TABLES)
    recorder.attach()
    try:
        yield recorder
    finally:
        recorder.detach()


@contextlib.contextmanager
def _session(connection: apsw.Connection) -> Iterator[apsw.Session]:
    session = apsw.Session(connection, "main")
    session.table_filter(_TABLES.__contains__)
    session.attach()
    try:
        yield session
    finally:
        session.close()


@given(st.lists(_steps, max_size=12), st.lists(_steps, max_size=12))
def test_it_tells_what_a_session_tells(first: list[Step], steps: list[Step]) -> None:
    ours, theirs = _made(first), _made(first)
    with _recorded(ours) as recorder, _session(theirs) as session:
        _run(ours, steps)
        _run(theirs, steps)
        assert _told(recorder.changeset()) == _told(session.changeset())
        assert _told(recorder.patchset()) == _told(session.patchset())


@pytest.mark.parametrize("length", [0, 127, 128, 16_383, 16_384, 2_100_000])
@pytest.mark.parametrize("value", ["z", b"\0"])
def test_a_row_is_written_byte_by_byte_as_a_session_writes_it(
    value: str | bytes, length: int
) -> None:
    step = ("INSERT INTO loose VALUES (?, ?)", ("é", value * length))
    ours, theirs = _made([]), _made([])
    with _recorded(ours) as recorder, _session(theirs) as session:
        _run(ours, [step])
        _run(theirs, [step])
        assert recorder.changeset() == session.changeset()
        assert recorder.patchset() == session.patchset()


def test_what_comes_before_and_after_is_not_recorded() -> None:
    connection = _made([])
    connection.execute("INSERT INTO plain (a) VALUES (1)")
    with _recorded(connection) as recorder:
        connection.execute("INSERT INTO plain (a) VALUES (2)")
    connection.execute("INSERT INTO plain (a) VALUES (3)")
    told = apsw.Changeset.iter(recorder.changeset())
    assert [row.new for row in told if row.name == "plain"] == [(2, 2, "x", None)]
