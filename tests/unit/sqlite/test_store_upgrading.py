"""Who migrates a store that holds something, and the backup before it."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from khive_supervisor.errors import StoreRefused
from khive_supervisor.host.holder import Holder
from khive_supervisor.sqlite.engine import upgrading
from khive_supervisor.sqlite.schema import migrations
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

EARLIER = migrations.MIGRATIONS[:-2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that an earlier release has made."""
    file = tmp_path / "khive.db"
    connection = apsw.Connection(str(file))
    migrations.migrate(connection, EARLIER)
    connection.close()
    return file


@pytest.fixture
def held(store: Path) -> Iterator[int]:
    """The lock of a supervisor that is at work."""
    lock = os.open(f"{store}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield lock
    os.close(lock)


def schema_of(file: str | Path) -> int:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return migrations.schema_version(connection)
    finally:
        connection.close()


def test_a_backup_is_made_before_a_migration_and_only_then(store: Path) -> None:
    for _ in range(3):
        with SqliteStore(str(store)) as opened:
            assert opened.stats().schema_version == migrations.NEWEST
    (kept,) = upgrading.backups(str(store))
    assert kept.startswith(f"{store}.before-upgrade-2")
    assert schema_of(kept) == len(EARLIER)
    assert os.stat(kept).st_mode & 0o777 == 0o600


def test_a_new_store_has_no_backup(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "new" / "khive.db")) as opened:
        assert upgrading.backups(opened.path) == []


def test_the_newest_backups_are_kept(store: Path) -> None:
    old = [f"{store}.before-upgrade-20200101-00000{number}" for number in range(5)]
    for file in old:
        Path(file).write_bytes(b"old")
    with SqliteStore(str(store)):
        left = upgrading.backups(str(store))
    assert left[:-1] == old[-upgrading.KEPT + 1 :]
    assert schema_of(left[-1]) == len(EARLIER)


@pytest.mark.parametrize("guarded", [True, False])
def test_a_store_at_work_under_an_earlier_release_is_left_alone(
    store: Path, held: int, guarded: bool
) -> None:
    with pytest.raises(StoreRefused, match="earlier release") as refused:
        SqliteStore(str(store), guarded=guarded)
    assert "khive-supervisor upgrade" in refused.value.hint
    assert schema_of(store) == len(EARLIER)
    assert upgrading.backups(str(store)) == []


@pytest.mark.parametrize(
    ("prefix", "refused"), [("there", True), ("gone", False), (sys.prefix, False), (None, False)]
)
def test_another_environment_migrates_nothing_unasked(
    store: Path, tmp_path: Path, prefix: str | None, refused: bool
) -> None:
    (tmp_path / "there").mkdir()
    where = str(tmp_path / prefix) if prefix else None
    last = Holder(1, "/s", None, "0.1.0", where)
    Path(f"{store}.lock").write_bytes(last.encode())
    if not refused:
        with SqliteStore(str(store)) as opened:
            assert opened.stats().schema_version == migrations.NEWEST
        return
    with pytest.raises(StoreRefused, match="would have to migrate"):
        SqliteStore(str(store))
    assert schema_of(store) == len(EARLIER)
    with SqliteStore(str(store), owner=True):
        pass  # who holds the lock has asked before
    with SqliteStore(str(store)):
        pass  # nothing is left to migrate


def test_its_owner_migrates_it(store: Path, held: int) -> None:
    with SqliteStore(str(store), owner=True) as opened:
        assert opened.stats().schema_version == migrations.NEWEST
    assert len(upgrading.backups(str(store))) == 1


def test_a_worker_goes_on_with_a_store_that_the_next_release_has_migrated(store: Path) -> None:
    with SqliteStore(str(store)):
        pass
    connection = apsw.Connection(str(store))
    connection.execute(f"PRAGMA user_version = {migrations.NEWEST + 1}")
    connection.close()
    with SqliteStore(str(store), guarded=False) as opened:
        (added,) = opened.entries.add([NewEntry("memory", "default", "note", "", "all goes on")])
        assert added.created
    with pytest.raises(StoreRefused, match="newer release"):
        SqliteStore(str(store))


def test_room_is_looked_for_early(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert upgrading.room(str(store)) == ""
    full = type("Usage", (), {"free": 10})
    monkeypatch.setattr(upgrading.shutil, "disk_usage", lambda _: full)
    assert "10 are free" in upgrading.room(str(store))
    with SqliteStore(str(store)):
        pass
    assert upgrading.room(str(store)) == ""
