"""What has become of the database's file, as `status` says it: gone, back, replaced, begun anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from khive_supervisor.sqlite.engine import file_identity
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.supervision.watch.store_file import StoreWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "khive.db"
    with SqliteStore(str(file)):
        pass
    return file


@pytest.fixture
def watch(path: Path) -> StoreWatch:
    made = StoreWatch(str(path), wall_clock=lambda: 1_000_000_000.0)
    made.before_start()
    made.started()
    return made


def test_a_file_that_stays_is_no_news(watch: StoreWatch) -> None:
    watch.look()
    assert (watch.problem, watch.note) == ("", "")


def test_a_file_that_is_gone_is_a_problem_until_it_is_back(watch: StoreWatch, path: Path) -> None:
    path.rename(path.with_name("away"))
    watch.look()
    assert str(path) in watch.problem
    path.with_name("away").rename(path)
    watch.look()
    assert (watch.problem, watch.note) == ("", "")


def test_another_file_in_its_place_is_noted_once_with_the_time(
    watch: StoreWatch, path: Path
) -> None:
    path.rename(path.with_name("away"))
    path.write_bytes(path.with_name("away").read_bytes())
    watch.look()
    note = "The database was replaced by another file at 2001-09-09T01:46:40Z."
    assert (watch.problem, watch.note) == ("", note)
    watch.note = ""
    watch.look()
    assert watch.note == ""


def test_a_disk_that_fails_is_said(watch: StoreWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_path: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(file_identity, "identity", broken)
    watch.look()
    assert watch.problem.endswith("cannot be reached: Input/output error.")
    assert watch.note == ""


def test_a_store_that_was_there_at_the_last_run_and_is_gone_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_identity, "was_here", lambda _path: True)
    watch = StoreWatch(str(path), wall_clock=lambda: 0.0)
    watch.before_start()
    watch.started()
    assert watch.note.startswith(f"The database that was at {path} until the last run is gone")
    assert watch.note.endswith("an empty one was begun at 1970-01-01T00:00:00Z.")
