"""What is refused before anything is written, and that nothing is written then."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import StoreRefused, StoreUnavailable
from khive_supervisor.sqlite.schema import guards, migrations
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


def content(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mode)
        for path in sorted(directory.rglob("*"))
        # The shared memory of others is theirs to change, and is no data.
        if path.is_file() and not path.name.endswith("-shm")
    }


def make(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


def assert_refused(path: Path, words: str, **options: object) -> None:
    before = content(path.parent)
    with pytest.raises(StoreRefused, match=words) as caught:
        SqliteStore(str(path), **options)  # type: ignore[arg-type]  # a test's shorthand
    assert caught.value.hint
    assert content(path.parent) == before


@pytest.mark.parametrize("version", ["3.51.2", "3.50.4", "3.7.17", "2.8.17"])
def test_an_old_sqlite_is_refused(tmp_path: Path, version: str) -> None:
    assert_refused(tmp_path / "khive.db", "can corrupt", library_version=lambda: version)


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "3.100.0", "4.0.0"])
def test_a_newer_sqlite_is_accepted(version: str) -> None:
    guards.check_library(version)


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "fuse", "fuse.sshfs", "fuse.rclone"],
)
def test_a_network_filesystem_is_refused_unless_allowed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a" / "khive.db"
    assert_refused(path, f"network filesystem .{kind}", filesystem_of=lambda _: kind)
    assert not path.parent.exists()
    SqliteStore(str(path), filesystem_of=lambda _: kind, allow_network=True).close()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", None])
def test_a_local_filesystem_is_accepted(tmp_path: Path, kind: str | None) -> None:
    SqliteStore(str(tmp_path / "khive.db"), filesystem_of=lambda _: kind).close()


TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
40 27 0:50 / /home rw,relatime shared:2 master:3 - nfs4 host:/home rw
41 40 0:51 / /home/me/with\040space rw - fuse.sshfs host: rw
42 27 0:52 / /over rw - ext4 /dev/vdb rw
43 42 0:53 / /over rw - cifs //host/share rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homes/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/with", "nfs4"),
        ("/home/me/with space/x", "fuse.sshfs"),
        ("/over/x", "cifs"),
    ],
)
def test_the_mount_table_is_understood(path: str, kind: str) -> None:
    assert guards._filesystem_in(TABLE, path) == kind


@given(table=st.text())
def test_no_mount_table_breaks_it(table: str) -> None:
    guards._filesystem_in(table, "/some/where")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    path.write_bytes(b"Dear diary, " * 1000)
    assert_refused(path, "not a SQLite database")
    path.write_bytes(b"x")
    assert_refused(path, "not a SQLite database")


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_applications_database_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "khive.db"
    make(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE theirs (a)")
    assert_refused(path, "another application")


def test_another_application_id_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    make(path, "PRAGMA application_id = 7")
    assert_refused(path, "another application")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    SqliteStore(str(path)).close()
    make(path, f"PRAGMA user_version = {migrations.NEWEST + 1}")
    assert_refused(path, "newer release")


def test_a_newer_schema_that_is_only_in_the_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    SqliteStore(str(path)).close()
    other = apsw.Connection(str(path))
    other.execute("PRAGMA user_version = 999").fetchall()
    try:
        assert (tmp_path / "khive.db-wal").stat().st_size
        assert_refused(path, "newer release")
    finally:
        other.close()


def test_a_truncated_database_is_refused_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    SqliteStore(str(path)).close()
    path.write_bytes(path.read_bytes()[:5000])
    assert_refused(path, "damaged")


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("directory", "pipe"):
        with pytest.raises(StoreRefused, match="not a regular file"):
            SqliteStore(str(tmp_path / name))


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreRefused, match="not a directory"):
        SqliteStore(str(tmp_path / "file" / "khive.db"))


def test_a_directory_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write everywhere: the kernel's answer for another user is given here.
    monkeypatch.setattr(guards.os, "access", lambda path, mode: mode != os.W_OK | os.X_OK)
    assert_refused(tmp_path / "khive.db", "not writable")


def test_a_read_only_file_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "khive.db"
    SqliteStore(str(path)).close()
    before = content(tmp_path)
    monkeypatch.setattr(guards.os, "access", lambda path, mode: mode != os.R_OK | os.W_OK)
    with pytest.raises(StoreUnavailable):
        SqliteStore(str(path))
    assert content(tmp_path) == before


def test_what_is_made_is_private_and_what_exists_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "khive.db"
    with SqliteStore(str(path)) as store:
        store.entries.add([NewEntry("memory", "n", "k", "t", "c")])
        modes = {one.name: one.stat().st_mode & 0o777 for one in (tmp_path / "a").rglob("*")}
    files = ("khive.db", "khive.db-wal", "khive.db-shm", "khive.db-place", "pipe")
    directories = ("b", "khive.db-turn")
    assert modes == {**dict.fromkeys(directories, 0o700), **dict.fromkeys(files, 0o600)}
    path.parent.chmod(0o755)
    path.chmod(0o640)
    SqliteStore(str(path)).close()
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    path.touch()
    SqliteStore(str(path)).close()
    make(tmp_path / "half.db", "PRAGMA journal_mode = WAL")
    SqliteStore(str(tmp_path / "half.db")).close()


@pytest.mark.parametrize("name", ["a b?c#d%41.db", "ü'\".db", "file:x.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        with SqliteStore(str(tmp_path / name)) as store:
            store.entries.add([NewEntry("memory", "n", "k", "t", "c")])
    assert {path.name for path in tmp_path.iterdir()} == {name, name + "-turn", name + "-place"}
