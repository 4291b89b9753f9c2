"""The store file that each release has left behind: opened, migrated, and nothing is missing."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest
import store_files
from khive_workers.index_builder import BuildPlan, Work

from khive_supervisor.audit.verify import verify
from khive_supervisor.errors import StoreRefused
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.schema import migrations
from khive_supervisor.sqlite.store import SqliteStore

pytestmark = pytest.mark.parametrize("release", store_files.releases())


@pytest.fixture
def file(release: str, tmp_path: Path) -> Path:
    return store_files.unpack(release, tmp_path / "khive.db")


def kept(release: str) -> object:
    return json.loads((store_files.STORES / f"{release}.json").read_text(encoding="utf-8"))


def version_of(file: Path) -> int:
    connection = apsw.Connection(str(file))
    try:
        return migrations.schema_version(connection)
    finally:
        connection.close()


def test_nothing_is_lost(release: str, file: Path) -> None:
    with SqliteStore(str(file)) as store:
        assert store.stats().schema_version == migrations.NEWEST
        assert store_files.missing(kept(release), store_files.dump(store)) == []
        assert store.quick_check() == []
        assert verify(store.audit.entries(), [store.audit.head()]).intact


def test_a_second_opening_changes_nothing(release: str, file: Path) -> None:
    with SqliteStore(str(file)) as store:
        first = store_files.dump(store)
    with SqliteStore(str(file)) as store:
        assert store_files.dump(store) == first


def test_the_index_is_built_again(release: str, file: Path) -> None:
    with SqliteStore(str(file)) as store:
        (was,) = [generation for generation in store.generations.all() if generation.current]
        plan = BuildPlan(was.model_id, was.dimensions, trees=4, minimum=1, force=True)
        assert Work(store, plan, None, lambda _: None).run()
        now = store.generations.current(was.model_id)
        assert now is not None
        assert now.generation > was.generation
        assert now.items == was.items
        Generations(str(file)).verify(now)


def test_as_a_backup_it_is_restored(release: str, file: Path, tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "other" / "khive.db")) as store:
        store.restore_backup(str(file))
        restored = store_files.dump(store)
    was = kept(release)
    assert isinstance(was, dict)
    for part in ("entries", "profiles", "events", "tasks", "spending"):
        assert store_files.missing(was[part], restored[part], part) == []


def test_a_release_before_it_refuses_it(release: str, file: Path) -> None:
    connection = apsw.Connection(str(file))
    connection.execute(f"PRAGMA user_version = {migrations.NEWEST + 1}")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(StoreRefused, match="newer release") as refused:
        SqliteStore(str(file))
    assert "upgrade" in refused.value.hint.lower()
    assert file.read_bytes() == before
    with SqliteStore(str(file.with_name("mine.db"))) as store, pytest.raises(StoreRefused):
        store.restore_backup(str(file))
