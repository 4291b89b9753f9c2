"""Backups: consistent, durable, and back again under the eyes of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, StoreRefused
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.store.model import NewEntry


def entry(content: str) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", content)


def test_a_backup_brings_back_what_there_was_for_every_open_store(
    engine: Engine, tmp_path: Path
) -> None:
    path, copy = str(tmp_path / "k.db"), str(tmp_path / "copy.db")
    with engine(path) as store, engine(path) as other:
        store.entries.add([entry("kept")])
        store.backup(copy)
        store.entries.add([entry("lost")])
        seen = other.data_version()
        own = store.change_token()
        store.restore_backup(copy)
        assert [e.content for e in store.entries.recent()] == ["kept"]
        assert other.data_version() != seen
        assert store.change_token() != own
        assert [e.content for e in other.entries.recent()] == ["kept"]
        assert [i for i, _ in other.full_text.match('"kept"', 5)] == [1]
        assert other.quick_check() == []
        other.entries.add([entry("goes on")])
    with engine(path) as again:
        assert [e.content for e in again.entries.recent()] == ["goes on", "kept"]


def test_only_a_sound_backup_of_ours_is_restored(engine: Engine, tmp_path: Path) -> None:
    with engine(str(tmp_path / "k.db")) as store:
        store.entries.add([entry("kept")])
        (tmp_path / "text").write_text("no database at all" * 100, encoding="utf-8")
        with pytest.raises(StoreRefused):
            store.restore_backup(str(tmp_path / "text"))
        with pytest.raises(InvalidInput, match="no file"):
            store.restore_backup(str(tmp_path / "missing"))
        copy = tmp_path / "copy.db"
        store.backup(str(copy))
        data = bytearray(copy.read_bytes())
        data[4096 * 3 : 4096 * 8] = b"\xff" * (4096 * 5)
        copy.write_bytes(data)
        with pytest.raises((InvalidInput, StoreRefused)):
            store.restore_backup(str(copy))
        assert [e.content for e in store.entries.recent()] == ["kept"]


def test_an_open_index_forgets_the_past_that_a_backup_replaces(
    engine: Engine, tmp_path: Path
) -> None:
    """Numbers that were given out again mean other entries: nothing read before may count."""

    def vector(axis: int) -> bytes:
        data = np.zeros(4, np.float16)
        data[axis] = 1
        return data.tobytes()

    path, copy = str(tmp_path / "k.db"), str(tmp_path / "copy.db")
    with engine(path) as store, engine(path) as reader:
        store.entries.add([entry("first")], [vector(0)], "m")
        store.backup(copy)
        store.entries.add([entry("second, old")], [vector(1)], "m")
        index = VectorIndex(reader, "m", 4)
        query = np.array([0, 0, 1, 0], np.float32)
        assert index.search(query, 5)
        store.restore_backup(copy)
        (added,) = store.entries.add([entry("second, new")], [vector(2)], "m")
        assert index.search(query, 1) == [(added.id, pytest.approx(1.0))]
        index.close()
