"""The connection: settings, freshness, errors, processes, threads, backups."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from khive_supervisor.errors import InvalidInput, StoreError, StoreUnavailable
from khive_supervisor.sqlite.engine import connection
from khive_supervisor.sqlite.engine.errors import translated
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


def new(content: str) -> NewEntry:
    return NewEntry("memory", "n", "k", "t", content)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    with SqliteStore(path, busy_timeout=0.05) as opened:
        yield opened


@pytest.fixture
def other(store: SqliteStore) -> Iterator[SqliteStore]:
    with SqliteStore(store.path, busy_timeout=0.05) as opened:
        yield opened


def test_data_version_changes_with_others_commits_only(
    store: SqliteStore, other: SqliteStore
) -> None:
    before, token = store.data_version(), store.change_token()
    store.entries.add([new("own")])
    assert store.data_version() == before
    assert store.change_token() != token
    other.entries.add([new("foreign")])
    after = store.data_version()
    assert after != before
    assert store.data_version() == after
    with pytest.raises(InvalidInput), other.transaction():
        other.entries.add([new("rolled back"), new("\ud800")])
    other.checkpoint()
    assert store.data_version() == after


def test_nothing_is_left_open(store: SqliteStore, other: SqliteStore) -> None:
    store.entries.add([new(str(n)) for n in range(50)], [b"11"] * 50, "m")
    store.entries.recent(limit=1)
    store.entries.page(0, 1)
    store.full_text.match('"t"', 1)
    store.vectors.missing("m", 1)
    store.vectors.after("m", 0, 1)
    store.full_text.document_frequencies(["t"])
    store.data_version()
    done = other.checkpoint(truncate=True)
    assert done.complete
    assert os.stat(store.path + "-wal").st_size == 0


def test_a_passive_checkpoint_does_not_wait_for_readers(
    store: SqliteStore, other: SqliteStore
) -> None:
    store.entries.add([new("a")])
    with other.database.raw() as connection:
        reading = connection.execute("SELECT 1 FROM entries")
        next(reading)
        store.entries.add([new("b")])
        assert not store.checkpoint().complete
        with pytest.raises(StoreError):
            other.entries.add([new("c")])
        reading.close()
    assert store.checkpoint().complete


def test_a_busy_store_is_unavailable_and_then_works(store: SqliteStore, other: SqliteStore) -> None:
    with store.transaction():
        with pytest.raises(StoreUnavailable, match="Another process") as caught:
            other.entries.add([new("b")])
        assert caught.value.retryable
        assert other.entries.live_count() == 0
    assert other.entries.add([new("b")])[0].created


class Asked:
    """A connection that keeps the handler it is given."""

    def set_busy_handler(self, handler: Callable[[int], bool]) -> None:
        self.handler = handler


@pytest.mark.parametrize("calls", [0, 1, 7, 10**6])
def test_waiting_for_a_lock_is_short_jittered_and_ends(
    monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    now, slept = [100.0], list[float]()
    monkeypatch.setattr(connection.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(connection.time, "sleep", slept.append)
    asked: Any = Asked()
    connection.wait_for_locks(asked, 10.0)
    assert asked.handler(0)
    for _ in range(50):
        assert asked.handler(calls)
    assert 0 < min(slept) < max(slept) <= connection.LONGEST_SLEEP
    assert len(set(slept)) > 40
    # The next wait has its whole time again.
    now[0] += 10.0
    assert not asked.handler(calls or 1)
    assert asked.handler(0)


def test_sixteen_writers_wait_for_each_other(store: SqliteStore) -> None:
    start, problems = threading.Barrier(16), list[str]()

    def work(name: int) -> None:
        with SqliteStore(store.path, busy_timeout=60) as mine:
            start.wait()
            for number in range(10):
                try:
                    mine.entries.add([new(f"{name} {number}")])
                except StoreUnavailable as error:
                    problems.append(str(error))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.entries.live_count() == 160


def test_a_forked_child_may_not_use_it(store: SqliteStore) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.entries.live_count()
            answer = b"used"
        except StoreError as error:
            answer = str(error).encode()
        store.close()
        os.write(writing, answer)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    assert b"before a fork" in os.read(reading, 1000)
    os.close(reading)
    assert store.entries.add([new("a")])[0].created


def test_a_closed_store_says_so(store: SqliteStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.entries.live_count()


def test_threads_take_turns(store: SqliteStore) -> None:
    def work(name: int) -> None:
        for number in range(10):
            store.entries.add([new(f"{name} {number}")])
            store.entries.recent()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.entries.live_count() == 40


def test_values_that_sqlite_cannot_hold_are_bad_input(store: SqliteStore) -> None:
    for value in ("\ud800", 2**64):
        with pytest.raises(InvalidInput):
            store.database.rows("SELECT ?", [value])


@pytest.mark.parametrize(
    ("error", "code", "kind", "words"),
    [
        (apsw.FullError(), 13, StoreUnavailable, "no room"),
        (apsw.IOError(), 778, StoreUnavailable, "no room"),
        (apsw.ReadOnlyError(), 8, StoreUnavailable, "read-only"),
        (apsw.BusyError(), 5, StoreUnavailable, "Another process"),
        (apsw.CorruptError(), 11, StoreError, "damaged"),
        (apsw.NotADBError(), 26, StoreError, "damaged"),
        (apsw.IOError(), 266, StoreError, "266"),
        (apsw.ConstraintError(), 19, StoreError, "could not do this"),
    ],
)
def test_errors_say_what_to_do(error: apsw.Error, code: int, kind: type, words: str) -> None:
    error.extendedresult = code  # type: ignore[attr-defined]  # apsw sets it so
    found = translated(error, "/x/khive.db")
    assert type(found) is kind
    assert words in found.message
    assert found.hint


def test_stats(store: SqliteStore) -> None:
    a, b, _ = store.entries.add([new("a"), new("b"), NewEntry("knowledge", "m", "k", "t", "c")])
    store.entries.supersede(a.id, new("d"))
    store.entries.forget([b.id])
    stats = store.stats()
    assert stats.live == {"memory": 1, "knowledge": 1}
    assert stats.namespaces == {"m": 1, "n": 1}
    assert (stats.deleted, stats.superseded) == (1, 1)
    assert stats.file_bytes + stats.wal_bytes > 4096
    assert store.entries.namespaces("knowledge") == {"m": 1}


def test_a_backup_is_whole_private_and_alone(store: SqliteStore, tmp_path: Path) -> None:
    store.entries.add([new(str(n)) for n in range(100)])
    target = tmp_path / "copies" / "b.db"
    with pytest.raises(StoreUnavailable):
        store.backup(str(target))
    target.parent.mkdir()
    store.backup(str(target))
    assert [path.name for path in target.parent.iterdir()] == ["b.db"]
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidInput):
        store.backup(str(target))
    with SqliteStore(str(target)) as copy:
        assert copy.entries.live_count() == 100
        assert copy.quick_check() == []


def test_damage_is_found(store: SqliteStore) -> None:
    store.entries.add([new(f"{n} " + "x" * 3000) for n in range(50)])
    store.database.rows("DELETE FROM entries_fts WHERE rowid = 7")
    assert store.quick_check() == ["Entry 7 is missing from the full-text index."]
    store.checkpoint(truncate=True)
    path = store.path
    store.close()
    # Page 40 of the file, and the pages after it, with nonsense.
    with open(path, "r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xa5" * 4096 * 3)
    with SqliteStore(path) as damaged:
        assert len(damaged.quick_check()) > 1


def test_a_store_that_is_damaged_says_so_at_use(store: SqliteStore) -> None:
    store.entries.add([new(f"{n} " + "x" * 3000) for n in range(50)])
    path = store.path
    store.close()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * os.stat(path).st_size)
    with pytest.raises(StoreError) as caught, SqliteStore(path) as damaged:
        damaged.entries.recent()
    assert "backup" in caught.value.hint


def test_a_small_write_is_forced_to_disk_once_the_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        database, forced = store.database, list[bool]()

        def force(_descriptor: int) -> None:
            with SqliteStore(store.path, busy_timeout=0) as other, other.transaction():
                forced.append(True)

        monkeypatch.setattr(os, "fdatasync", force)
        with database.write_small():
            database.rows("UPDATE changes SET count = count + 1")
        assert forced == [True]
        with database.write(), database.write_small():
            database.rows("UPDATE changes SET count = count + 1")
        assert forced == [True], "a part of a larger transaction is forced with it"
        assert database.value("PRAGMA synchronous") == 2


def test_a_small_write_that_cannot_be_forced_to_disk_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with SqliteStore(str(tmp_path / "khive.db")) as store:
        monkeypatch.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreUnavailable, match="forced to disk"), store.database.write_small():
            store.database.rows("UPDATE changes SET count = count + 1")
        monkeypatch.undo()
        with pytest.raises(ZeroDivisionError), store.database.write_small():
            raise ZeroDivisionError
        assert store.database.value("PRAGMA synchronous") == 2
