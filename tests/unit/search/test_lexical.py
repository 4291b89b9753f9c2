from __future__ import annotations

from collections.abc import Iterable

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.search import lexical
from khive_supervisor.search.lexical import FrequencyCache, QueryCost, Scored, select
from khive_supervisor.text.analysis import Query, index_text, match_expression, read_query

WORDS = st.sampled_from(["ash", "birch", "cedar", "elm", "fir", "gum", "hazel", "ivy"])
DOCUMENTS = st.lists(st.lists(WORDS, min_size=1, max_size=8).map(" ".join), min_size=1, max_size=30)


class Index:
    """A full-text index of documents, numbered from 1."""

    def __init__(self, documents: Iterable[str]) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.execute(
            "CREATE VIRTUAL TABLE f USING fts5 (scope, title, content, tags, "
            "content = '', contentless_delete = 1, tokenize = 'porter unicode61')"
        )
        self.size = 0
        for self.size, document in enumerate(documents, 1):
            self.connection.execute(
                "INSERT INTO f (rowid, content) VALUES (?, ?)", [self.size, index_text(document)]
            )
        self.asked: list[str] = []

    def match(self, expression: str, limit: int) -> Scored:
        if not expression:
            return []
        self.asked.append(expression)
        return list(
            self.connection.execute(
                "SELECT rowid, -bm25(f, 0, 1, 1, 1) AS s FROM f WHERE f MATCH ? "
                "ORDER BY s DESC, rowid DESC LIMIT ?",
                [expression, limit],
            )
        )

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        return {term: len(self.match(match_expression([term]), 10_000)) for term in terms}


def test_everything_is_required_while_it_fits() -> None:
    chosen = select(read_query("rare word here"), {"rare": 1, "word": 20}, 100)
    assert chosen.required == ("rare", "word")
    assert chosen.optional == ()
    assert chosen.postings == 21


def test_common_words_become_optional() -> None:
    query = read_query("rare common usual")
    chosen = select(query, {"rare": 10, "common": 400, "usual": 300}, 1000, QueryCost(postings=100))
    assert chosen.required == ("rare",)
    assert chosen.optional == ("usual", "common")


def test_one_word_is_required_whatever_it_costs() -> None:
    chosen = select(read_query("common"), {"common": 900}, 1000, QueryCost(postings=100))
    assert chosen.required == ("common",)


def test_repeated_words_are_worth_more() -> None:
    chosen = select(read_query("apple pear pear"), {"apple": 5, "pear": 5}, 1000)
    assert chosen.required == ("pear", "apple")


def test_words_that_nobody_has_are_left_out() -> None:
    chosen = select(read_query("known unknown"), {"known": 5, "unknown": 0}, 1000)
    assert (chosen.required, chosen.optional) == (("known",), ())
    assert select(read_query("unknown"), {"unknown": 0}, 1000).required == ()
    assert select(read_query(""), {}, 0).required == ()


def test_names_are_a_share_of_the_worth() -> None:
    frequencies = {"max": 10, "retries": 10, "max_retries": 10}
    assert select(read_query("max_retries"), frequencies, 1000).names == pytest.approx(1 / 3)
    assert select(read_query("plain words"), {"plain": 1, "words": 1}, 1000).names == 0.0


def test_names_are_looked_up_before_anything_else() -> None:
    query = read_query("word word other some_name")
    assert lexical.worth_looking_up(query, QueryCost(lookups=2)) == ["some_name", "word"]


def test_nothing_chosen_asks_nothing() -> None:
    index = Index(["ash"])
    assert lexical.retrieve(select(Query({}), {}, 1), index.match, 10) == []
    assert index.asked == []


def test_a_word_that_is_everywhere_is_asked_for_once() -> None:
    index = Index(["ash birch"] * 20)
    chosen = lexical.TermSelection(("ash",), ("birch",), postings=20, names=0.0)
    found = lexical.retrieve(chosen, index.match, 5, QueryCost(postings=10))
    assert len(index.asked) == 1
    assert [entry for entry, _ in found] == [20, 19, 18, 17, 16]


@given(DOCUMENTS, st.lists(WORDS, min_size=1, max_size=6).map(" ".join), st.integers(1, 40))
def test_pruned_scores_are_exact_for_entries_with_a_required_word(
    documents: list[str], question: str, postings: int
) -> None:
    index = Index(documents)
    query = read_query(question)
    budget = QueryCost(postings=postings)
    chosen = select(query, index.frequencies(query), index.size, budget)
    whole = dict(index.match(match_expression(query), 1000))
    required = {entry for entry, _ in index.match(match_expression(chosen.required), 1000)}
    # A limit that is never reached: both expressions are asked.
    found = lexical.retrieve(chosen, index.match, 1000, budget)
    assert {entry for entry, _ in found} == required
    for entry, score in found:
        assert abs(score - whole[entry]) < 1e-9
    assert found == sorted(found, key=lambda row: (-row[1], -row[0]))


@given(
    st.dictionaries(WORDS, st.integers(1, 5)),
    st.dictionaries(WORDS, st.integers(0, 2000)),
    st.integers(0, 2000),
    st.builds(QueryCost, st.integers(0, 500), st.integers(1, 4), st.integers(0, 4)),
)
def test_a_selection_keeps_to_its_budget(
    counts: dict[str, int], frequencies: dict[str, int], entries: int, budget: QueryCost
) -> None:
    chosen = select(Query(counts), frequencies, entries, budget)
    assert len(chosen.required) <= budget.required
    assert len(chosen.optional) <= budget.optional
    assert chosen.postings <= budget.postings or len(chosen.required) == 1
    assert not set(chosen.required) & set(chosen.optional)
    assert {*chosen.required, *chosen.optional} <= {t for t in counts if frequencies.get(t)}


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_inverse_frequency_is_positive_and_falls(frequency: int, entries: int) -> None:
    here = lexical.inverse_frequency(frequency, entries)
    assert here >= lexical.inverse_frequency(frequency + 1, entries) > 0


def test_only_common_frequencies_are_remembered_and_not_for_ever() -> None:
    asked: list[list[str]] = []
    now = 0.0

    def lookup(terms: list[str]) -> dict[str, int]:
        asked.append(terms)
        return {term: 5000 if term == "common" else 3 for term in terms}

    cache = FrequencyCache(lookup, lambda: now, seconds=10.0)
    assert cache(["common", "rare"]) == cache(["common", "rare"]) == {"common": 5000, "rare": 3}
    now = 11.0
    cache(["common"])
    assert asked == [["common", "rare"], ["rare"], ["common"]]


# --- at the bounds --------------------------------------------------------------------------------


class Asked:
    """Answers each expression with what it is told, and keeps what was asked."""

    def __init__(self, both: Scored, alone: Scored) -> None:
        self.answers = {True: both, False: alone}
        self.kinds: list[bool] = []

    def match(self, expression: str, limit: int) -> Scored:
        self.kinds.append(") AND (" in expression)
        return self.answers[self.kinds[-1]][:limit]


def chosen_of(required: int, postings: int) -> lexical.TermSelection:
    words = tuple(f"word{number}" for number in range(required))
    return lexical.TermSelection(words, ("also",), postings, 0.0)


ENOUGH: Scored = [(9, 3.0), (8, 2.0)]
BUDGET = QueryCost(postings=10)


@pytest.mark.parametrize(
    ("required", "postings", "both", "asks"),
    [
        (1, 11, ENOUGH, 1),  # everywhere, and enough have a second word
        (1, 10, ENOUGH, 2),  # it fits: not everywhere
        (1, 11, ENOUGH[:1], 2),  # everywhere, and too few have a second word
        (12, 5, ENOUGH, 1),  # many words
        (11, 5, ENOUGH, 2),
        (12, 5, ENOUGH[:1], 2),
    ],
)
def test_entries_without_a_second_word_are_looked_for_where_they_may_count(
    required: int, postings: int, both: Scored, asks: int
) -> None:
    asked = Asked(both, [(7, 1.0)])
    lexical.retrieve(chosen_of(required, postings), asked.match, 2, BUDGET)
    assert asked.kinds == [True, False][:asks]


def test_without_optional_words_it_is_asked_once() -> None:
    asked = Asked([], ENOUGH)
    alone = lexical.TermSelection(("word",), (), 5, 0.0)
    assert lexical.retrieve(alone, asked.match, 2, BUDGET) == ENOUGH
    assert asked.kinds == [False]


def test_the_better_score_of_an_entry_counts_and_of_equals_the_newer_is_first() -> None:
    asked = Asked(both=[(1, 2.0), (5, 2.0), (7, 0.5)], alone=[(7, 2.0), (2, 2.0), (1, 1.0)])
    found = lexical.retrieve(chosen_of(1, 5), asked.match, 3, BUDGET)
    assert found == [(7, 2.0), (5, 2.0), (2, 2.0)]


def test_a_word_is_required_as_long_as_all_fit_to_the_last_posting() -> None:
    query, budget = read_query("rare next"), QueryCost(postings=30)
    assert select(query, {"rare": 10, "next": 20}, 1000, budget).required == ("rare", "next")
    assert select(query, {"rare": 10, "next": 21}, 1000, budget).optional == ("next",)


@pytest.mark.parametrize(("required", "optional"), [(1, 1), (2, 1), (1, 2), (3, 0)])
def test_words_beyond_the_budget_are_left_out(required: int, optional: int) -> None:
    frequencies = {"ash": 1, "birch": 2, "cedar": 3, "elm": 4}
    budget = QueryCost(required=required, optional=optional)
    chosen = select(read_query("elm cedar birch ash"), frequencies, 1000, budget)
    words = ["ash", "birch", "cedar", "elm"]
    assert chosen.required == tuple(words[:required])
    assert chosen.optional == tuple(words[required : required + optional])


def test_without_a_known_word_there_are_no_names() -> None:
    assert select(read_query("max_retries"), {}, 1000).names == 0.0


@pytest.mark.parametrize(
    ("frequency", "entries", "expected"),
    [(0, 0, 1e-6), (5, 10, 1e-6), (9, 3, 1e-6), (1, 1, 1e-6), (0, 1, 1.0986), (1, 1000, 6.5023)],
)
def test_the_inverse_frequency_is_that_of_the_index(
    frequency: int, entries: int, expected: float
) -> None:
    found = lexical.inverse_frequency(frequency, entries)
    assert found == pytest.approx(expected, rel=1e-3)


def test_what_is_common_is_remembered_until_the_time_is_over() -> None:
    asked: list[list[str]] = []
    now = 5.0

    def lookup(terms: list[str]) -> dict[str, int]:
        asked.append(terms)
        return {term: int(term[1:]) for term in terms}

    cache = FrequencyCache(lookup, lambda: now, seconds=10.0)
    for moment in (5.0, 14.999, 15.0):
        now = moment
        assert cache(["w99", "w100"]) == {"w99": 99, "w100": 100}
    assert asked == [["w99", "w100"], ["w99"], ["w99", "w100"]]


def test_a_cache_that_is_full_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def lookup(terms: list[str]) -> dict[str, int]:
        asked.append(terms)
        return dict.fromkeys(terms, 500)

    monkeypatch.setattr(lexical, "_CACHED_TERMS", 2)
    cache = FrequencyCache(lookup, lambda: 1.0)
    for words in (["a", "b"], ["a", "b"], ["c"], ["a"]):
        cache(words)
    assert asked == [["a", "b"], [], ["c"], ["a"]]


# --- headlines ------------------------------------------------------------------------------------


def test_words_of_a_headline_count_twice() -> None:
    index = Index(["apple pie here", "pear pie here", *(["plum"] * 9)])
    asked = read_query("How the apple fell\nA pear did, too.")
    chosen = select(asked, index.frequencies(asked), index.size)
    assert lexical.retrieve(chosen, index.match, 10)[0][0] == 1
    first, other = lexical.retrieve(chosen, index.match, 10)
    assert first[1] == pytest.approx(2 * other[1])


def test_optional_words_of_a_headline_count_twice_too() -> None:
    index = Index(["rare apple", "rare pear", *(["apple pear"] * 9), *(["plum"] * 20)])
    asked = read_query("What the apple is\npear rare")
    chosen = select(asked, index.frequencies(asked), index.size, QueryCost(postings=5))
    assert (chosen.required, set(chosen.optional)) == (("rare",), {"apple", "pear"})
    assert [entry for entry, _ in lexical.retrieve(chosen, index.match, 10)] == [1, 2]
