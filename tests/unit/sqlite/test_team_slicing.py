"""A store made of all its slices is the store; one made of some has nothing of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema.shared import BELONGS
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import slicing
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.model import NewTask
from khive_supervisor.team.parts import TEAM


def entry(namespace: str, text: str) -> NewEntry:
    return NewEntry("memory", namespace, "semantic", "", text)


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """A store with two namespaces, as it is copied before a base is made of it."""
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        texts = [entry("a", "One falcon."), entry("b", "Two zebras."), entry("a", "Three owls.")]
        one, two, three = store.entries.add(texts, [b"ab"] * 3, "m")
        store.links.add(one.id, three.id, "about")
        store.links.add(one.id, two.id, "about")
        store.entries.forget([three.id])
        store.purges.purge([store.entries.add([entry("b", "Gone.")])[0].id])
        for namespace in ("a", "b", ""):
            store.tasks.assign(NewTask("r", "t", {"n": namespace}, namespace=namespace))
        copy_to(store.database, str(tmp_path / "copy"))
    return str(tmp_path / "copy")


def made(copy: str, names: list[str]) -> SqliteStore:
    directory = Path(copy).parent
    paths = [str(directory / f"slice{number}") for number in range(len(names))]
    for name, path in zip(names, paths, strict=True):
        slicing.write_slice(copy, name, path)
    slicing.merge(paths, str(directory / "made"))
    store = SqliteStore(str(directory / "made"))
    slicing.write_words(store.database, store.entries)
    return store


def contents(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    shared = [name for name, one in BELONGS.items() if not one.audit]
    found = {
        table: sorted(store.database.rows(f"SELECT * FROM {table}"), key=repr)
        for table in (*shared, "vector_counts", "sqlite_sequence")
    }
    found["sqlite_sequence"] = [row for row in found["sqlite_sequence"] if row[1]]
    words = "SELECT term, doc, col, offset FROM entries_occurrences ORDER BY 1, 2, 3, 4"
    return {**found, "words": store.database.rows(words)}


def test_all_slices_make_the_whole(copy: str) -> None:
    with SqliteStore(copy) as whole, whole.database.raw() as connection:
        names = slicing.namespaces(connection)
        assert names == [TEAM, "a", "b"]
        with made(copy, names) as store:
            assert contents(store) == contents(whole)
            assert store.quick_check() == []


def test_a_store_without_a_slice_has_nothing_of_it_and_gives_none_of_its_numbers(copy: str) -> None:
    with SqliteStore(copy) as whole:
        highest = whole.entries.highest_id()
        events = whole.database.value("SELECT seq FROM sqlite_sequence WHERE name = 'task_events'")
    with made(copy, [TEAM, "a"]) as store:
        texts = {one.content for one in store.entries.recent(limit=9)}
        assert texts == {"One falcon."}
        assert store.database.value("SELECT count(*) FROM links WHERE ended_at IS NULL") == 1
        assert store.database.value("SELECT count(*) FROM tasks") == 2
        assert store.quick_check() == []
        assert store.entries.add([entry("a", "Next.")])[0].id == highest + 1
        store.tasks.assign(NewTask("r", "t", namespace="a"))
        assert store.database.value("SELECT max(seq) FROM task_events") == events + 1
    data = (Path(copy).parent / "made").read_bytes()
    assert b"falcon" in data
    assert b"zebra" not in data
