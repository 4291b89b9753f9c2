"""Postings: the full-text index as lists, and which entries have died or come back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry
from khive_supervisor.store.vectors import Fate
from khive_supervisor.text.analysis import read_query


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=lambda: 1000.0) as opened:
        yield opened


def add(store: Store, *contents: str, **fields: object) -> list[int]:
    entries = [
        NewEntry("memory", "n", "k", f"title{n}", c, **fields) for n, c in enumerate(contents)
    ]  # type: ignore[arg-type]  # fields of an entry
    return [added.id for added in store.entries.add(entries)]


def words(store: Store) -> list[str]:
    """All tokens, in small steps."""
    found: list[str] = []
    while step := store.postings.vocabulary(found[-1] if found else "", 2):
        found += [token for token, _ in step]
    return found


# --- lists of a term ------------------------------------------------------------------------------


def test_entries_with_a_term_come_in_the_order_of_ids(store: Store) -> None:
    add(store, "apples here", "pears", "an apple")
    assert store.postings.phrase_ids("apple", 10) == [1, 3]
    assert store.postings.phrase_ids("apple", 1) == [1]
    assert store.postings.phrase_ids("apple", 10, above=1) == [3]
    assert store.postings.phrase_ids("apple", 10, above=3) == []
    assert store.postings.phrase_ids("plum", 10) == []


def test_a_compound_is_a_phrase_and_no_list_of_words(store: Store) -> None:
    add(store, "max_retries is 3", "retries at max")
    assert store.postings.phrase_ids("max_retries", 10) == [1]
    assert store.postings.phrase_ids("retries", 10) == [1, 2]


@pytest.mark.parametrize("term", ["", " ", '"', "* OR apple", "NEAR(apple"])
def test_no_term_is_syntax(store: Store, term: str) -> None:
    add(store, "pears")
    assert store.postings.phrase_ids(term, 10) == []


def test_what_has_died_is_in_no_list_until_it_comes_back(store: Store) -> None:
    add(store, "apple one", "apple two")
    store.entries.forget([1])
    assert store.postings.phrase_ids("apple", 10) == [2]
    store.entries.restore([1])
    assert store.postings.phrase_ids("apple", 10) == [1, 2]


def test_those_of_some_entries_that_have_a_term(store: Store) -> None:
    add(store, "apples here", "pears", "an apple", "max_retries", "retries at max")
    for entries in (1, 100_000):
        assert store.postings.having("apple", [1, 2, 99], entries) == {1}
        assert store.postings.having("max_retries", [4, 5], entries) == {4}
        assert store.postings.having("apple", [], entries) == set()
        assert store.postings.having("", [1], entries) == set()
    store.entries.forget([1])
    assert store.postings.having("apple", [1, 3], 2) == {3}


# --- all tokens -----------------------------------------------------------------------------------


def test_tokens_come_once_and_in_order_whatever_the_step(store: Store) -> None:
    add(store, "delta alpha charlie", "bravo alpha")
    found = words(store)
    assert found == sorted(set(found))
    assert {"alpha", "bravo", "charli", "delta"} <= set(found)
    whole = dict(store.postings.vocabulary("", 1000))
    assert list(whole) == found
    assert whole["alpha"] == 2
    assert store.postings.vocabulary(found[-1], 10) == []


def test_occurrences_name_token_entry_and_column(store: Store) -> None:
    add(store, "alpha beta alpha", "beta")
    rows = store.postings.occurrences("", "\uffff")
    mine = [row for row in rows if row[0] in ("alpha", "beta")]
    assert mine == [
        ("alpha", 1, "content"), ("alpha", 1, "content"), ("beta", 1, "content"),
        ("beta", 2, "content"),
    ]  # fmt: skip
    assert {column for token, _, column in rows if token.startswith("title")} == {"title"}


def test_occurrences_are_above_one_token_and_up_to_another(store: Store) -> None:
    add(store, "alpha beta gamma")
    tokens = [row[0] for row in store.postings.occurrences("alpha", "gamma")]
    assert tokens == ["beta", "gamma"]
    assert store.postings.occurrences("gamma", "alpha") == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(["ash", "birch", "elm", "fir"])), max_size=4))
def test_steps_through_the_tokens_lose_and_repeat_nothing(
    store: Store, contents: list[list[str]]
) -> None:
    add(
        store,
        *(f"{' '.join(words)} {number} {len(contents)}" for number, words in enumerate(contents)),
    )
    whole = store.postings.occurrences("", "\uffff")
    tokens = ["", *words(store)]
    steps = [
        row
        for after, last in itertools.pairwise(tokens)
        for row in store.postings.occurrences(after, last)
    ]
    assert steps == whole
    for token in {row[0] for row in whole if row[2] == "content"} & {"ash", "elm", "fir"}:
        (term,) = read_query(token)
        assert store.postings.phrase_ids(term, 1000) == sorted(
            {e for t, e, _ in whole if t == token}
        )


# --- ages and fates -------------------------------------------------------------------------------


def test_ages_are_read_in_steps_and_are_of_all_that_ever_was(store: Store) -> None:
    add(store, "one", "two", salience=0.25, decay=0.5)
    add(store, "three", created_at=5.0)
    store.entries.forget([2])
    assert store.postings.ages(0, 2) == [
        (1, 1000.0, 0.25, 0.5, 0), (2, 1000.0, 0.25, 0.5, 0),
    ]  # fmt: skip
    assert store.postings.ages(2, 9) == [(3, 5.0, 0.5, 0.0, 0)]
    assert store.postings.ages(3, 9) == []


def test_fates_are_told_in_their_order_and_once(store: Store) -> None:
    add(store, "one", "two", "three")
    assert (store.postings.fates(0), store.postings.last_fate()) == ([], 0)
    store.entries.forget([2])
    store.entries.forget([1])
    store.entries.restore([2])
    fates = store.postings.fates(0)
    assert [(fate.entry_id, fate.live) for fate in fates][-1] == (2, True)
    assert [(fate.entry_id, fate.live) for fate in fates if not fate.live][-1] == (1, False)
    assert [fate.seq for fate in fates] == sorted({fate.seq for fate in fates})
    assert store.postings.last_fate() == fates[-1].seq
    assert store.postings.fates(fates[0].seq) == fates[1:]
    assert store.postings.fates(fates[-1].seq) == []


def test_what_takes_the_place_of_another_ends_it(store: Store) -> None:
    add(store, "one")
    before = store.postings.last_fate()
    store.entries.supersede(1, NewEntry("memory", "n", "k", "title0", "another"))
    assert [(f.entry_id, f.live) for f in store.postings.fates(before)] == [(1, False)]


def test_a_fate_that_changes_nothing_is_none(store: Store) -> None:
    add(store, "one")
    store.entries.forget([1])
    known = store.postings.last_fate()
    store.entries.forget([1])
    store.entries.restore([7])
    assert store.postings.last_fate() == known
    assert store.postings.fates(known - 1) == [Fate(known, 1, False)]
