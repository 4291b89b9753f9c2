"""A database that is deleted or replaced while it is open: everybody notices at the next use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from khive_supervisor.errors import StoreReplaced, StoreUnavailable
from khive_supervisor.sqlite.engine import file_identity
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "khive.db"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def _open(stack: ExitStack, path: Path) -> SqliteStore:
    return stack.enter_context(SqliteStore(str(path), busy_timeout=1.0))


def _add(store: SqliteStore, text: str) -> None:
    store.entries.add([NewEntry("memory", "default", "note", "", text)])


def _texts(store: SqliteStore) -> list[str]:
    return sorted(entry.content for entry in store.entries.page())


def _copy(stack: ExitStack, path: Path, target: Path, *texts: str) -> Path:
    """A store with these texts, closed, in one file."""
    with SqliteStore(str(target)) as store:
        for text in texts:
            _add(store, text)
    return target


def _replace(path: Path, by: Path) -> None:
    """As a tool does that restores a backup: a copy, and a rename onto the old name."""
    shutil.copy(by, path.with_suffix(".new"))
    os.replace(path.with_suffix(".new"), path)


# --- deleted -------------------------------------------------------------------------------------


def test_nothing_is_stored_into_a_deleted_file(path: Path, stack: ExitStack) -> None:
    one, two = _open(stack, path), _open(stack, path)
    _add(one, "kept")
    path.unlink()
    for store in (one, two):
        for _ in range(2):
            with pytest.raises(StoreReplaced, match=r"is gone.*rescue"):
                _add(store, "lost")
            with pytest.raises(StoreReplaced, match="is gone"):
                store.entries.page()
            with pytest.raises(StoreReplaced, match="is gone"):
                store.change_token()
    assert not path.exists(), "none is made in its place unasked"
    with pytest.raises(StoreReplaced, match="is gone"):
        SqliteStore(str(path), guarded=False)


def test_what_was_in_a_deleted_file_can_be_saved_and_put_back(
    path: Path, stack: ExitStack, tmp_path: Path
) -> None:
    store = _open(stack, path)
    _add(store, "kept")
    path.unlink()
    store.backup(str(tmp_path / "saved.db"))
    _replace(path, tmp_path / "saved.db")
    assert _texts(store) == ["kept"]
    _add_after_notice(store, "more")
    assert _texts(_open(stack, path)) == ["kept", "more"]


def _add_after_notice(store: SqliteStore, text: str) -> None:
    try:
        _add(store, text)
    except StoreReplaced:
        _add(store, text)


# --- replaced ------------------------------------------------------------------------------------


def test_the_first_write_after_a_replacement_is_refused_and_the_next_goes_to_the_new_file(
    path: Path, stack: ExitStack, tmp_path: Path
) -> None:
    one, two = _open(stack, path), _open(stack, path)
    _add(one, "old")
    _replace(path, _copy(stack, path, tmp_path / "other.db", "new"))
    with pytest.raises(StoreReplaced, match="was replaced by another file"):
        _add(one, "lost")
    _add(one, "more")
    assert _texts(two) == ["more", "new"]
    with pytest.raises(StoreReplaced, match="was replaced by another file"):
        _add(two, "lost")  # it has read the new one, and says so only now
    _add(two, "and more")
    assert _texts(one) == ["and more", "more", "new"]
    assert _texts(_open(stack, path)) == ["and more", "more", "new"]
    assert one.database.value("PRAGMA integrity_check") == "ok"


def test_the_old_file_s_log_is_not_taken_for_the_new_one_s(
    path: Path, stack: ExitStack, tmp_path: Path
) -> None:
    """Also by who comes first and has never seen the old one."""
    old = _open(stack, path)
    for number in range(50):
        _add(old, f"old {number}")
    assert os.path.getsize(f"{path}-wal")
    _replace(path, _copy(stack, path, tmp_path / "other.db", "new"))
    fresh = _open(stack, path)
    assert _texts(fresh) == ["new"]
    _add(fresh, "newer")
    assert _texts(old) == ["new", "newer"]
    assert fresh.database.value("PRAGMA integrity_check") == "ok"
    (aside,) = tmp_path.glob("khive.db.replaced-*-wal")
    assert aside.stat().st_size, "what was only in the log can be looked for there"


def test_who_has_the_old_file_open_and_closes_it_leaves_the_new_one_s_log_alone(
    path: Path, stack: ExitStack, tmp_path: Path
) -> None:
    old = SqliteStore(str(path))
    _add(old, "old")
    _replace(path, _copy(stack, path, tmp_path / "other.db", "new"))
    fresh = _open(stack, path)
    _add(fresh, "more")
    before = file_identity.files_at(str(path))
    old.close()
    assert file_identity.files_at(str(path)) == before
    assert _texts(fresh) == ["more", "new"]


def test_what_is_kept_of_the_old_file_is_loaded_again(
    path: Path, stack: ExitStack, tmp_path: Path
) -> None:
    """The counters of an older copy may be the same numbers; its past has another name."""
    store = _open(stack, path)
    _add(store, "one")
    store.backup(str(tmp_path / "copy.db"))
    before = store.change_token(), store.change_counts()
    _replace(path, tmp_path / "copy.db")
    assert store.change_token() != before[0]
    assert store.change_counts().changed_since(before[1])


@pytest.mark.parametrize("content", [b"", b"no database, and longer than a header" * 100])
def test_what_is_no_store_is_not_used_and_the_real_one_is_as_soon_as_it_is_there(
    path: Path, stack: ExitStack, tmp_path: Path, content: bytes
) -> None:
    store = _open(stack, path)
    _add(store, "old")
    good = _copy(stack, path, tmp_path / "other.db", "new")
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(StoreReplaced, match="cannot be used"):
        store.entries.page()
    assert path.read_bytes() == content
    _replace(path, good)
    assert _texts(store) == ["new"]


def test_a_commit_during_which_the_file_is_replaced_is_not_acknowledged(
    path: Path, stack: ExitStack
) -> None:
    store = _open(stack, path)
    with pytest.raises(StoreReplaced, match="while this was written"), store.database.write():
        path.unlink()


# --- the log alone -------------------------------------------------------------------------------


def test_a_log_that_is_removed_is_brought_home_by_the_first_who_sees_it(
    path: Path, stack: ExitStack
) -> None:
    one, two = _open(stack, path), _open(stack, path)
    for number in range(20):
        _add(one, f"{number:02}")
    os.unlink(f"{path}-wal")
    _add(two, "20")
    _add(one, "21")
    everything = [f"{number:02}" for number in range(22)]
    assert _texts(one) == everything
    assert _texts(_open(stack, path)) == everything
    assert one.database.value("PRAGMA integrity_check") == "ok"


# --- a disk that is away -------------------------------------------------------------------------


def test_a_place_that_cannot_be_seen_is_an_error_and_not_a_new_store(
    path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _open(stack, path)

    def away(_path: str) -> file_identity.Identity:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(file_identity, "identity", away)
        with pytest.raises(StoreUnavailable, match="cannot be reached: Input/output error"):
            _add(store, "nowhere")
    _add(store, "here")
    assert _texts(store) == ["here"]


def test_it_is_known_that_there_was_a_store_where_none_is(path: Path, stack: ExitStack) -> None:
    assert not file_identity.was_here(str(path))
    _open(stack, path)
    assert not file_identity.was_here(str(path))
    path.unlink()
    assert file_identity.was_here(str(path))
