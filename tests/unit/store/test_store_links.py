"""Links between entries: made, ended, kept; a supersession is one by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.graph.ontology import ONTOLOGY
from khive_supervisor.store.interface import Store
from khive_supervisor.store.links import (
    ABOUT,
    CONTRADICTS,
    DEPENDS_ON,
    KINDS,
    SAME_AS,
    SUPERSEDES,
    Along,
)
from khive_supervisor.store.model import EntryFilter, NewEntry


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=lambda: 1000.0) as opened:
        yield opened


def entry(content: str) -> NewEntry:
    return NewEntry("memory", "local", "note", "", content)


def three(store: Store) -> list[int]:
    return [one.id for one in store.entries.add([entry(text) for text in "abc"])]


def ends(store: Store, *ids: int, kinds: tuple[str, ...] = KINDS) -> list[tuple[int, int, str]]:
    return [(one.from_id, one.to_id, one.kind) for one in store.links.of(ids, kinds)]


def test_a_link_is_found_from_both_ends_and_made_once(store: Store) -> None:
    a, b, c = three(store)
    assert store.links.add(b, a, CONTRADICTS, "ada")
    assert not store.links.add(b, a, CONTRADICTS, "bob")
    assert store.links.add(b, a, ABOUT)
    assert ends(store, a) == ends(store, b) == ends(store, a, b)
    assert ends(store, a) == [(b, a, CONTRADICTS), (b, a, ABOUT)]
    assert ends(store, a, kinds=(ABOUT,)) == [(b, a, ABOUT)]
    assert ends(store, c) == []
    (first, _) = store.links.of([a])
    assert (first.by, first.created_at, first.ended_at) == ("ada", 1000.0, None)


def test_a_link_that_ended_is_kept_and_can_be_made_again(store: Store) -> None:
    a, b, _ = three(store)
    store.links.add(b, a, CONTRADICTS)
    assert store.links.end(b, a, CONTRADICTS)
    assert not store.links.end(b, a, CONTRADICTS)
    assert ends(store, a) == []
    assert store.links.add(b, a, CONTRADICTS)
    assert [one.ended_at for one in store.links.history([a])] == [1000.0, None]


def test_a_supersession_is_a_link(store: Store) -> None:
    a, b, _ = three(store)
    new = store.entries.supersede(a, entry("A")).id
    newer = store.entries.supersede(new, entry("AA")).id
    assert ends(store, a, new) == [(new, a, SUPERSEDES), (newer, new, SUPERSEDES)]
    assert ends(store, b) == []


def test_what_is_no_link_is_refused(store: Store) -> None:
    a, b, _ = three(store)
    for from_id, to_id, kind in ((a, a, ABOUT), (a, b, "loves"), (a, b, SUPERSEDES)):
        with pytest.raises(InvalidInput):
            store.links.add(from_id, to_id, kind)
    with pytest.raises(NotFound, match="99"):
        store.links.add(a, 99, SAME_AS)
    assert store.links.history([a, b]) == []


def test_a_symmetric_link_stands_once_whichever_way_it_is_told(store: Store) -> None:
    a, b, _ = three(store)
    assert store.links.add(b, a, CONTRADICTS)
    assert not store.links.add(a, b, CONTRADICTS)
    assert store.links.end(a, b, CONTRADICTS)
    assert ends(store, a) == []


def test_another_time_of_holding_ends_the_link_and_begins_one(store: Store) -> None:
    a, b, _ = three(store)
    assert store.links.add(b, a, DEPENDS_ON, valid_from=10.0)
    assert not store.links.add(b, a, DEPENDS_ON)
    assert store.links.add(b, a, DEPENDS_ON, valid_from=10.0, valid_until=20.0)
    told = [(one.valid_from, one.valid_until, one.ended_at) for one in store.links.history([a])]
    assert told == [(10.0, None, 1000.0), (10.0, 20.0, None)]


@pytest.mark.parametrize("kind", [name for name, of in ONTOLOGY.items() if of.acyclic])
def test_a_kind_without_circles_refuses_one(store: Store, kind: str) -> None:
    if not ONTOLOGY[kind].fits("memory", "memory") or kind == SUPERSEDES:
        return
    a, b, c = three(store)
    store.links.add(a, b, kind)
    store.links.add(b, c, kind)
    with pytest.raises(InvalidInput, match="circles"):
        store.links.add(c, a, kind)
    store.links.end(a, b, kind)
    assert store.links.add(c, a, kind)


def test_links_are_told_to_the_audit_chain(store: Store) -> None:
    a, b, _ = three(store)
    store.links.add(b, a, CONTRADICTS)
    store.links.end(b, a, CONTRADICTS)
    told = [one for one in store.audit.page() if one.kind.startswith("link.")]
    assert [(one.kind, one.subject) for one in told] == [
        ("link.ended", f"entry/m{b}"), ("link.added", f"entry/m{b}"),
    ]  # fmt: skip
    assert f'"to":"m{a}"' in told[0].detail


def test_a_walk_sees_what_stood_and_held_at_a_moment(engine: Engine, tmp_path: Path) -> None:
    now = [100.0]
    with engine(str(tmp_path / "past.db"), clock=lambda: now[0]) as store:
        a, b, c = three(store)
        store.links.add(a, b, DEPENDS_ON, valid_from=50.0, valid_until=300.0)
        now[0] = 200.0
        store.links.add(a, c, DEPENDS_ON)
        now[0] = 250.0
        store.entries.forget([b])
        store.links.end(a, c, DEPENDS_ON)

        def seen(which: Along) -> list[int]:
            return [one.to_id for one in store.links.along([a], which, 9)]

        assert seen(Along()) == [c]
        assert seen(Along(at=260.0)) == []
        for moment, there in ((90, []), (150, [b]), (220, [b, c]), (250, []), (400, [])):
            assert seen(Along(at=float(moment), past=True)) == there, moment


def test_a_walk_goes_by_kind_and_side_and_stays_where_it_may(store: Store) -> None:
    a, b, c = three(store)
    (other,) = (one.id for one in store.entries.add([NewEntry("memory", "far", "x", "", "d")]))
    store.links.add(a, b, DEPENDS_ON)
    store.links.add(c, a, CONTRADICTS)
    store.links.add(a, other, ABOUT)

    def seen(which: Along, *besides: int, limit: int = 9) -> set[int]:
        found = store.links.along([a], which, limit, besides)
        return {one.to_id if one.from_id == a else one.from_id for one in found}

    assert seen(Along()) == {b, c, other}
    assert seen(Along(), b) == {c, other}
    assert len(seen(Along(), limit=2)) == 2
    assert seen(Along(leaving=(DEPENDS_ON,), entering=())) == {b}
    assert seen(Along(leaving=(DEPENDS_ON,), entering=()).turned()) == set()
    near = EntryFilter(namespaces=("local",))
    assert seen(Along(where=near)) == {b, c}
    assert store.links.along([other], Along(where=near), 9) == []
    assert store.links.along([other], Along(), 9) != []
    assert seen(Along(where=EntryFilter(projects=(7,)))) == set()
