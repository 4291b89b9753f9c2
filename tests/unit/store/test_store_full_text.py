"""Full text: what is found, in which order, and that text is never syntax."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry
from khive_supervisor.text.analysis import match_expression, read_query


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with engine(str(tmp_path_factory.mktemp("shared") / "khive.db")) as opened:
        opened.entries.add([new("alpha", "beta"), new("gamma", "delta", "n2")])
        yield opened


def new(title: str, content: str, namespace: str = "n1", *tags: str) -> NewEntry:
    return NewEntry("memory", namespace, "note", title, content, tags)


def search(store: Store, query: str, where: EntryFilter = EVERYTHING) -> list[int]:
    expression = match_expression(read_query(query))
    return [found for found, _ in store.full_text.match(expression, 10, where)]


def test_the_better_match_comes_first_with_a_positive_score(store: Store) -> None:
    store.entries.add(
        [new("x", "the apple and other fruit, at length, and more of it"), new("y", "apple")]
    )
    found = store.full_text.match(match_expression(["apple"]), 10)
    assert [one for one, _ in found] == [2, 1]
    assert found[0][1] > found[1][1] > 0


def test_a_term_is_counted_where_it_is_looked_for(store: Store) -> None:
    store.entries.add([new("x", "apple"), new("y", "an apple", "n2"), new("z", "apple", "n1", "t")])
    ours = EntryFilter(collection="memory", namespaces=("n1",))
    assert store.full_text.count("apple", EVERYTHING) == 3
    assert store.full_text.count("apple", ours) == 2
    assert store.full_text.count("apple", ours, above=1) == 1
    assert store.full_text.count("apple", EntryFilter(tags=("t",))) == 1
    assert store.full_text.count("apple", EntryFilter(namespaces=())) == 0
    assert store.full_text.count("pear", ours) == store.full_text.count("", ours) == 0


def test_columns_have_weights(store: Store) -> None:
    store.entries.add(
        [new("apple", "x y z"), new("x y z", "apple"), new("x", "y z", "n1", "apple")]
    )
    expression = match_expression(["apple"])
    orders = [
        next(found for found, _ in store.full_text.match(expression, 10, weights=weights))
        for weights in ((9.0, 1.0, 1.0), (1.0, 9.0, 1.0), (1.0, 1.0, 9.0))
    ]
    assert orders == [1, 2, 3]


def test_stems_and_scripts_without_spaces(store: Store) -> None:
    store.entries.add(
        [new("a", "the libraries were running"), new("b", "東京都の天気"), new("c", "京")]
    )
    assert search(store, "library run") == [1]
    assert search(store, "東京") == [2]
    assert search(store, "getUserName") == []


def test_namespaces_do_not_leak(store: Store) -> None:
    names = ["a", "A", "a ", "a/b", "b", "", "ä", "a\0"]
    store.entries.add([new("secret", "words", name) for name in names])
    for place, name in enumerate(names, 1):
        assert search(store, "secret", EntryFilter(namespaces=(name,))) == [place]


def test_the_scope_is_not_searched_by_words(store: Store) -> None:
    store.entries.add([new("title", "content", "project", "tagged")])
    assert search(store, "memory project note") == []
    assert search(store, "tagged") == [1]


def test_document_frequencies(store: Store) -> None:
    store.entries.add(
        [new("a", f"apple {number}") for number in range(5)] + [new("b", "東京都 running")]
    )
    counted = store.full_text.document_frequencies(
        ["apple", "apples", "runs", "zebra", "東京", "京都", "都東"]
    )
    assert counted == {
        "apple": 5, "apples": 5, "runs": 1, "zebra": 0, "東京": 1, "京都": 1, "都東": 0
    }  # fmt: skip
    assert store.full_text.document_frequencies(["", " ", '"', "\0", "*", "NEAR("]) == {
        "": 0, " ": 0, '"': 0, "\0": 0, "*": 0, "NEAR(": 0
    }  # fmt: skip


def test_an_empty_expression_matches_nothing(store: Store) -> None:
    store.entries.add([new("a", "b")])
    assert store.full_text.match("", 10) == []


@settings(max_examples=200)
@given(query=st.text() | st.text(alphabet="\"*-^():+.,/\\{}' ORANDNOTEAR"))
def test_no_query_is_syntax(shared: Store, query: str) -> None:
    search(shared, query, EntryFilter(namespaces=(query.encode("utf-8", "replace").decode(),)))
    shared.full_text.document_frequencies(tuple(read_query(query)))


@settings(max_examples=100)
@given(text=st.text(max_size=200))
def test_any_text_can_be_indexed_and_found_by_its_words(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    terms = tuple(read_query(text))
    with engine(str(tmp_path_factory.mktemp("any") / "khive.db")) as store:
        store.entries.add([new("t", text.encode("utf-8", "replace").decode())])
        if terms and text.isascii():
            assert search(store, text) == [1]
        assert store.quick_check() == []


def test_tidying_ends_and_changes_nothing_that_is_found(store: Store) -> None:
    for number in range(40):
        store.entries.add(
            [new("", f"entry number {number} about {'foxes' if number % 3 else 'owls'}")]
        )
    store.entries.forget([7, 8])
    expression = match_expression(["fox", "owls"])
    before = store.full_text.match(expression, 50)
    steps, more = 1, store.full_text.tidy(begin=True)
    while more:
        steps, more = steps + 1, store.full_text.tidy(begin=False)
        assert steps < 1000
    assert store.full_text.match(expression, 50) == before
    assert len(before) == 38
    assert not store.full_text.tidy(begin=True)
    assert store.quick_check() == []
