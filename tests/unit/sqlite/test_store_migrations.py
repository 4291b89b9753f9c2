"""Migrations: complete or not at all, in order, and by one process only."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.sqlite.schema.migrations import (
    MIGRATIONS,
    NEWEST,
    Migration,
    migrate,
    schema_version,
)
from khive_supervisor.sqlite.store import SqliteStore


def steps(count: int, broken: int = 0) -> list[Migration]:
    """Steps that each add a row saying so; the `broken` one fails after its first statement."""
    made = [Migration(1, "a log", ("CREATE TABLE log (step)", "INSERT INTO log VALUES (1)"))]
    made += [
        Migration(n, "more", (f"INSERT INTO log VALUES ({n})", "SELECT 1"))
        for n in range(2, count + 1)
    ]
    if broken:
        first = made[broken - 1]
        made[broken - 1] = Migration(broken, "breaks", (first.statements[0], "SELECT nonsense"))
    return made


def applied(connection: apsw.Connection) -> list[object]:
    if not connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
        return []
    return [row[0] for row in connection.execute("SELECT step FROM log ORDER BY rowid")]


def test_the_numbers_have_no_gaps() -> None:
    assert [step.number for step in MIGRATIONS] == list(range(1, NEWEST + 1))
    assert all(step.purpose for step in MIGRATIONS)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 6), max_size=6), st.integers(0, 6))
def test_any_history_of_upgrades_and_crashes_applies_each_step_once(
    releases: list[int], broken: int
) -> None:
    connection = apsw.Connection(":memory:")
    newest = 0
    for release in releases:
        try:
            migrate(connection, steps(release, broken if broken <= release else 0))
        except apsw.SQLError:
            assert broken > newest
            newest = max(newest, broken - 1)
        else:
            newest = max(newest, release)
        assert schema_version(connection) == newest
        assert applied(connection) == list(range(1, newest + 1))
        assert not connection.in_transaction
    connection.close()


def test_a_step_that_fails_can_be_tried_again(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    with pytest.raises(apsw.SQLError):
        migrate(connection, steps(3, broken=2))
    assert migrate(connection, steps(3)) == 2
    assert migrate(connection, steps(3)) == 0
    assert applied(connection) == [1, 2, 3]
    connection.close()


def test_several_at_once_apply_each_step_once(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    start = threading.Barrier(4)
    counts: list[int] = []

    def upgrade() -> None:
        connection = apsw.Connection(path)
        connection.set_busy_timeout(30_000)
        start.wait()
        counts.append(migrate(connection, steps(5)))
        connection.close()

    threads = [threading.Thread(target=upgrade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 5
    connection = apsw.Connection(path)
    assert applied(connection) == [1, 2, 3, 4, 5]
    connection.close()


def test_a_store_is_opened_by_several_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(6)
    problems: list[str] = []

    def use() -> None:
        start.wait()
        with SqliteStore(str(tmp_path / "new" / "khive.db"), busy_timeout=30) as store:
            problems.extend(store.quick_check())

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with SqliteStore(str(tmp_path / "new" / "khive.db")) as store:
        assert store.stats().schema_version == NEWEST
