"""Entries: against a plain model of what they should do, and the cases that it cannot reach."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry

MODEL = "model"


class Clock:
    """Wall clock that moves one second a look."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=Clock()) as opened:
        yield opened


def entry(content: str = "content", **changes: object) -> NewEntry:
    values: dict[str, object] = {
        "collection": "memory", "namespace": "local", "kind": "note", "title": "title",
        "content": content,
    }  # fmt: skip
    return NewEntry(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def matched(store: Store, word: str, where: EntryFilter = EVERYTHING) -> list[int]:
    return [found for found, _ in store.full_text.match(f'"{word}"', 100, where)]


def test_what_was_added_is_read_back(store: Store) -> None:
    given_entry = entry(
        "Wörter\0 und 日本語 🎉", tags=("a b", "ü", '"'), salience=0.25, decay=0.5, source="x"
    )
    [added] = store.entries.add([given_entry])
    [found] = store.entries.get([added.id])
    assert added.created
    assert not added.restored
    assert (found.content, found.tags, found.salience, found.decay, found.source) == (
        "Wörter\0 und 日本語 🎉", ("a b", "ü", '"'), 0.25, 0.5, "x"
    )  # fmt: skip
    assert found.content_hash == given_entry.content_hash
    assert found.live


def test_duplicates_are_recognised_also_within_a_batch(store: Store) -> None:
    first, again, other = store.entries.add([entry("a"), entry("a"), entry("b")])
    assert first.created
    assert (again.id, again.created, again.restored) == (first.id, False, False)
    assert other.created
    assert store.entries.known([entry("a").content_hash, b"\0" * 16]) == {
        entry("a").content_hash: first.id
    }


def test_the_hash_keeps_the_parts_apart() -> None:
    parts = [("a", "b"), ("ab", ""), ("", "ab")]
    assert len({entry(title=title, content=text).content_hash for title, text in parts}) == 3


def test_a_deleted_duplicate_is_restored_under_its_id(store: Store) -> None:
    [first] = store.entries.add([entry("apple")])
    assert store.entries.forget([first.id, first.id, 77]) == [first.id]
    assert store.entries.forget([first.id]) == []
    assert matched(store, "apple") == []
    assert store.entries.known([entry("apple").content_hash]) == {}
    [again] = store.entries.add([entry("apple")])
    assert (again.id, again.created, again.restored) == (first.id, False, True)
    assert matched(store, "apple") == [first.id]


def test_restore_leaves_alone_what_has_a_live_twin(store: Store) -> None:
    [old] = store.entries.add([entry("a")])
    store.entries.supersede(old.id, entry("b"))
    [twin] = store.entries.add([entry("a")])
    assert twin.created
    assert store.entries.restore([old.id, twin.id, 99]) == []
    store.entries.forget([twin.id])
    assert store.entries.restore([twin.id, twin.id]) == [twin.id]


def test_a_restored_entry_has_new_vectors(store: Store) -> None:
    [a] = store.entries.add([entry("a")], [b"\1\0" * 4], MODEL)
    [b] = store.entries.add([entry("b")], [b"\2\0" * 4], MODEL)
    before = store.vectors.last_seq(MODEL)
    store.entries.forget([a.id])
    store.entries.restore([a.id])
    rows = store.vectors.after(MODEL, before, 10)
    assert [(row.entry_id, row.data) for row in rows] == [(a.id, b"\1\0" * 4)]
    assert [row.entry_id for row in store.vectors.after(MODEL, 0, 10)] == [b.id, a.id]


def test_superseding(store: Store) -> None:
    [old] = store.entries.add([entry("apple")])
    new = store.entries.supersede(old.id, entry("pear"), b"\1\0", MODEL)
    [was, now] = store.entries.get([old.id, new.id])
    assert was.superseded_by == new.id
    assert not was.live
    assert now.live
    assert matched(store, "apple") == []
    assert matched(store, "pear") == [new.id]
    assert store.vectors.of(MODEL, [new.id])[0].data == b"\1\0"
    with pytest.raises(NotFound):
        store.entries.supersede(old.id, entry("plum"))
    with pytest.raises(NotFound):
        store.entries.supersede(999, entry("plum"))


def test_superseding_with_other_tags_only_makes_a_new_entry(store: Store) -> None:
    [old] = store.entries.add([entry("apple", tags=("a",))])
    assert store.entries.supersede(old.id, entry("apple", tags=("a",))).id == old.id
    new = store.entries.supersede(old.id, entry("apple", tags=("b",)))
    assert new.created
    assert matched(store, "apple", EntryFilter(tags=("b",))) == [new.id]
    assert matched(store, "apple", EntryFilter(tags=("a",))) == []


def test_superseding_with_what_is_there_already_points_to_it(store: Store) -> None:
    [old, other] = store.entries.add([entry("apple"), entry("pear")])
    assert store.entries.supersede(old.id, entry("pear")).id == other.id
    assert store.entries.get([old.id])[0].superseded_by == other.id


def test_nothing_is_added_when_one_of_a_batch_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.entries.add([entry("a"), entry("b")], [b"\0\0", b"\0\0\0\0"], MODEL)
    assert store.entries.live_count() == 0
    assert store.vectors.last_seq(MODEL) == 0


@pytest.mark.parametrize(
    "bad",
    [
        entry(collection="other"),
        entry(salience=1.5),
        entry(salience=math.nan),
        entry(decay=-1.0),
        entry(decay=math.inf),
        entry(created_at=math.nan),
        entry("lone \ud800 surrogate"),
        entry(tags=("\udfff",)),
    ],
)
def test_what_cannot_be_stored_is_refused(store: Store, bad: NewEntry) -> None:
    with pytest.raises(InvalidInput):
        store.entries.add([entry("good"), bad])
    assert store.entries.live_count() == 0


def test_vectors_need_a_model_and_one_for_each_entry(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.entries.add([entry()], [b"\0\0"])
    with pytest.raises(InvalidInput):
        store.entries.add([entry()], [], MODEL)
    assert store.entries.live_count() == 0


@pytest.mark.parametrize("odd", [[2**70], [-1], [0], []])
def test_ids_that_cannot_be_are_unknown(store: Store, odd: list[int]) -> None:
    assert store.entries.get(odd) == []
    assert store.entries.forget(odd) == []
    assert store.entries.restore(odd) == []
    assert store.entries.filter_ids(odd) == set()


def test_recent_and_pages(store: Store) -> None:
    ids = [one.id for one in store.entries.add([entry(str(number)) for number in range(7)])]
    store.entries.add([entry("old", created_at=5.0)])
    store.entries.forget(ids[6:])
    assert [found.id for found in store.entries.recent(limit=3)] == ids[5:2:-1]
    pages = [store.entries.page(0, 4), store.entries.page(4, 4), store.entries.page(8, 4)]
    assert [len(page) for page in pages] == [4, 4, 0]
    assert len(store.entries.page(0, 100, EVERYTHING)) == 7


def test_a_transaction_is_all_or_nothing_and_its_parts_fail_alone(store: Store) -> None:
    def fail_halfway() -> None:
        with store.transaction():
            store.entries.add([entry("a")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert store.entries.live_count() == 0
    with store.transaction():
        store.entries.add([entry("a")])
        with pytest.raises(InvalidInput):
            store.entries.add([entry("b")], [b"\0"], MODEL)
        store.entries.add([entry("c")])
    assert [found.content for found in store.entries.page()] == ["a", "c"]


FILTERS = st.builds(
    EntryFilter,
    collection=st.sampled_from([None, "memory", "knowledge"]),
    namespaces=st.sampled_from([None, (), ("n1",), ("n1", "n2"), ("N1",), ("n1 ",)]),
    kinds=st.sampled_from([None, (), ("k1",), ("k1", "k2")]),
    tags=st.sampled_from([(), ("t1",), ("t1", "t2"), ('t"',)]),
    since=st.sampled_from([None, 10.0, 20.0]),
    until=st.sampled_from([None, 10.0, 20.0]),
)
ENTRIES = st.lists(
    st.builds(
        NewEntry,
        collection=st.sampled_from(["memory", "knowledge"]),
        namespace=st.sampled_from(["n1", "n2", "N1", "n1 "]),
        kind=st.sampled_from(["k1", "k2"]),
        title=st.just("common"),
        content=st.text(max_size=5),
        tags=st.lists(st.sampled_from(["t1", "t2", 't"']), max_size=3).map(tuple),
        created_at=st.sampled_from([5.0, 10.0, 15.0, 20.0, 25.0]),
    ),
    min_size=1,
    max_size=12,
)


def passes(one: NewEntry, where: EntryFilter) -> bool:
    assert one.created_at is not None
    return (
        (where.collection is None or one.collection == where.collection)
        and (where.namespaces is None or one.namespace in where.namespaces)
        and (where.kinds is None or one.kind in where.kinds)
        and all(tag in one.tags for tag in where.tags)
        and (where.since is None or one.created_at >= where.since)
        and (where.until is None or one.created_at < where.until)
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(entries=ENTRIES, where=FILTERS, forgotten=st.sets(st.integers(1, 12)))
def test_every_way_of_filtering_agrees(
    engine: Engine,
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[NewEntry],
    where: EntryFilter,
    forgotten: set[int],
) -> None:
    path = tmp_path_factory.mktemp("filter") / "khive.db"
    with engine(str(path)) as store:
        with store.transaction():
            added = store.entries.add(entries)
            store.entries.forget(list(forgotten))
        first: dict[int, NewEntry] = {}
        for one, new in zip(added, entries, strict=True):
            first.setdefault(one.id, new)
        expected = {
            one for one, new in first.items() if one not in forgotten and passes(new, where)
        }
        assert set(matched(store, "common", where)) == expected
        assert store.entries.live_ids(where, 100) == sorted(expected)
        assert store.entries.live_ids(where, len(expected)) == sorted(expected)
        if expected:
            assert store.entries.live_ids(where, len(expected) - 1) is None
        assert store.entries.filter_ids(range(100), where) == expected
        assert store.entries.live_count(where) == len(expected)
        assert {found.id for found in store.entries.recent(where, 100)} == expected
        assert {found.id for found in store.entries.page(0, 100, where)} == expected
        assert store.quick_check() == []
