"""Links between entries: made, ended, kept; a supersession is one by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.interface import Store
from khive_supervisor.store.links import ABOUT, CONTRADICTS, KINDS, SAME_AS, SUPERSEDES
from khive_supervisor.store.model import NewEntry


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
