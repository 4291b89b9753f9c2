"""The words' arm: by the file and by FTS5 the same answer, and what is new is found at once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from khive_supervisor.index.inverted import postings_file
from khive_supervisor.index.inverted.collect import collect
from khive_supervisor.index.inverted.postings_file import Postings, PostingsFile, write
from khive_supervisor.index.inverted.scope import PostingsView, Scope
from khive_supervisor.search import full_text, postings
from khive_supervisor.search.full_text import LexicalSearch
from khive_supervisor.search.lexical import Scored, TermSelection, inverse_frequency
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry
from khive_supervisor.store.vectors import Generation
from khive_supervisor.text.analysis import read_query

WORDS = ["ash", "birch", "cedar", "date_palm", "elm", "fir.tree", "gumTree", "hazel", "ivy", "杉木"]
OWNER = Generation(1, "m", "", "00" * 32, "", 0, 0, "", 0, 0, 0, 0, False, 0.0)


def note(seed: int) -> NewEntry:
    draw = random.Random(seed)
    words = [WORDS[min(int(draw.expovariate(0.4)), 9)] for _ in range(draw.randrange(1, 12))]
    namespace = draw.choice(("one", "two"))
    return NewEntry("memory", namespace, "note", words[0], " ".join([*words, f"n{seed}"]))


def view_of(store: SqliteStore, path: Path) -> PostingsView:
    """The words' file of what is in the store now."""
    about, arrays = collect(store)
    write(str(path), OWNER, about, arrays)
    return PostingsView.of(PostingsFile(str(path), OWNER), store.postings.fates(about.fate))


def current(store: SqliteStore, view: PostingsView) -> PostingsView:
    """The same file, later."""
    return PostingsView.of(view.file, store.postings.fates(view.file.description.fate))


@pytest.fixture(scope="module", autouse=True)
def fts5s_constants() -> Iterator[None]:
    """With the constants of FTS5, and no least number of entries, both say the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings_file, "K1", 1.2)
        patch.setattr(postings_file, "B", 0.75)
        patch.setattr(full_text, "MOST_IMPACT", 2.2)
        patch.setattr(full_text, "FEWEST_ENTRIES", 0)
        yield


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "k.db")) as opened:
        yield opened


def searched(
    store: SqliteStore,
    query: str,
    view: PostingsView | None,
    where: EntryFilter = EVERYTHING,
    limit: int = 1000,
) -> Scored:
    scope = Scope(store, where, view=view)
    return LexicalSearch(store).search(read_query(query), scope, limit).found


QUERIES = [
    *WORDS,
    "n17",
    "ash birch",
    "ash birch cedar date_palm elm fir.tree gumTree hazel ivy 杉木",
    "hazel ivy nowhere n3 n4",
    "palm date",
    "date_palm fir.tree",
    "fir.treehouse",
    "tree",
    "the and of",
    "杉",
]


@pytest.mark.parametrize(
    "where", [EVERYTHING, EntryFilter(namespaces=("two",))], ids=["all", "two"]
)
@pytest.mark.parametrize("query", QUERIES)
def test_the_file_answers_as_fts5_does(
    store: SqliteStore, tmp_path: Path, query: str, where: EntryFilter
) -> None:
    store.entries.add([note(i) for i in range(60)])
    view = view_of(store, tmp_path / "1.words")
    by_file = searched(store, query, view, where)
    by_index = searched(store, query, None, where)
    assert dict(by_file) == {one: pytest.approx(s, rel=3e-3) for one, s in by_index}
    assert [s for _, s in by_file] == sorted((s for _, s in by_file), reverse=True)
    few = searched(store, query, view, where, limit=5)
    assert [s for _, s in few] == pytest.approx([s for _, s in by_index[:5]], rel=3e-3)


def test_what_is_newer_is_found_at_once(store: SqliteStore, tmp_path: Path) -> None:
    store.entries.add([note(i) for i in range(100)])
    view = view_of(store, tmp_path / "1.words")
    store.entries.add([NewEntry("memory", "one", "note", "", f"max_retries novelty {WORDS[0]}")])
    for query in ("novelty", "max_retries", "retries", "ash novelty"):
        found = searched(store, query, current(store, view))
        assert found[0][0] == 101
        assert dict(found).keys() == dict(searched(store, query, None)).keys()


def test_what_came_back_is_found_at_once(store: SqliteStore, tmp_path: Path) -> None:
    store.entries.add([note(i) for i in range(50)])
    store.entries.forget([18])
    view = view_of(store, tmp_path / "1.words")
    assert searched(store, "n17", view) == []
    store.entries.restore([18])
    assert [one for one, _ in searched(store, "n17", current(store, view))] == [18]


def test_a_phrase_of_very_many_entries_is_one_all_the_same(
    store: SqliteStore, tmp_path: Path
) -> None:
    """Too many to ask FTS5 what it is worth in each."""
    text = "date_palm and more"
    store.entries.add([NewEntry("memory", "one", "note", "", f"{text} n{i}") for i in range(400)])
    store.entries.add(
        [NewEntry("memory", "one", "note", "", f"palm of a date n{i}") for i in range(50)]
    )
    store.entries.add([NewEntry("memory", "one", "note", "", f"elm n{i}") for i in range(600)])
    view = view_of(store, tmp_path / "1.words")
    found = searched(store, "date_palm", view, limit=450)
    assert {one for one, _ in found[:400]} == set(range(1, 401))
    assert len(found) == 450


def lists(*given: Sequence[int]) -> list[Postings]:
    return [(np.array(ids, np.int32), np.ones(len(ids), np.float16)) for ids in given]


def test_optional_words_add_and_bring_in_nobody() -> None:
    rare, common, other = lists([3, 9], [1, 3, 5], [2])
    chosen = TermSelection(("rare",), ("common", "other"), 2, 0.0)
    known = {"rare": rare, "common": common, "other": other}
    found = postings.retrieve(chosen, known, 100, lambda ids: ids > 0, 10)
    assert [one for one, _ in found] == [3, 9]
    assert found[1][1] == pytest.approx(inverse_frequency(2, 100), rel=1e-3)
    both = inverse_frequency(2, 100) + inverse_frequency(3, 100)
    assert found[0][1] == pytest.approx(both, rel=1e-3)


def test_words_of_a_headline_count_twice() -> None:
    required, optional = lists([3, 9], [3])
    known = {"rare": required, "common": optional}
    alone = TermSelection(("rare",), ("common",), 2, 0.0)
    twice = replace(alone, headline=frozenset(known))
    once, more = (
        postings.retrieve(one, known, 100, lambda ids: ids > 0, 9) for one in (alone, twice)
    )
    assert [(one, pytest.approx(2 * score)) for one, score in once] == more


def test_as_many_are_asked_about_as_it_takes() -> None:
    (every,) = lists(range(1, 1001))
    asked: list[int] = []

    def passing(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        asked.append(len(ids))
        return ids % 100 == 0

    chosen = TermSelection(("w",), (), 1000, 0.0)
    found = postings.retrieve(chosen, {"w": every}, 2000, passing, 10)
    assert [one for one, _ in found] == list(range(1000, 0, -100))
    assert asked == [1000]
    worth = every[1].copy()
    worth[-30:] = 2
    found = postings.retrieve(chosen, {"w": (every[0], worth)}, 2000, lambda ids: ids > 0, 10)
    assert [one for one, _ in found] == list(range(1000, 990, -1))
    assert postings.retrieve(chosen, {}, 2000, lambda ids: ids > 0, 10) == []


class Changing(RuleBasedStateMachine):
    """Whatever happens after the file was made, both ways find the same."""

    directory: Path
    number = 0

    @initialize(count=st.integers(0, 60))
    def begin(self, count: int) -> None:
        Changing.number += 1
        self.store = SqliteStore(str(self.directory / f"{Changing.number}.db"))
        self.seed = count
        self.store.entries.add([note(i) for i in range(count)])
        self.build()

    @rule()
    def build(self) -> None:
        self.view = view_of(self.store, self.directory / f"{Changing.number}.words")

    @rule(count=st.integers(1, 5))
    def add(self, count: int) -> None:
        self.store.entries.add([note(i) for i in range(self.seed, self.seed + count)])
        self.seed += count

    @rule(one=st.integers(1, 70))
    def forget(self, one: int) -> None:
        self.store.entries.forget([one])

    @rule(one=st.integers(1, 70))
    def restore(self, one: int) -> None:
        self.store.entries.restore([one])

    @rule(one=st.integers(1, 70))
    def supersede(self, one: int) -> None:
        entries = self.store.entries.get([one])
        if entries and entries[0].live:
            self.store.entries.supersede(one, note(self.seed))
            self.seed += 1

    @invariant()
    def both_find_the_same(self) -> None:
        view = current(self.store, self.view)
        for query in ("ash", "date_palm hazel", "n3 n40 ivy", "fir.tree"):
            for where in (EVERYTHING, EntryFilter(namespaces=("one",))):
                by_file = searched(self.store, query, view, where)
                assert dict(by_file).keys() == dict(searched(self.store, query, None, where)).keys()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


def test_the_two_ways_agree_whatever_happens(tmp_path: Path) -> None:
    Changing.directory = tmp_path
    case = Changing.TestCase
    case.settings = settings(
        max_examples=15,
        stateful_step_count=10,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
