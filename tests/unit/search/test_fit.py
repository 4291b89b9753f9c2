"""How well an entry fits a query: between 0 and 1, more for more, and what always fits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.search import fit
from khive_supervisor.search.fit import EntryFacts, QueryFacts

SHARE = st.floats(0, 1)
COSINE = st.floats(-1, 1)
QUERIES = st.builds(
    QueryFacts,
    words=st.integers(0, 300),
    entries=st.integers(0, 10**7),
    cosines=st.lists(COSINE, max_size=100).map(lambda found: sorted(found, reverse=True)),
    meaning_weight=SHARE,
    best_coverage=SHARE,
    small_talk=st.booleans(),
)
ENTRIES = st.builds(EntryFacts, st.none() | COSINE, SHARE, st.booleans(), st.booleans(), SHARE)
QUERY = QueryFacts(words=4, entries=1000, cosines=(0.6, 0.3, 0.3), meaning_weight=0.6,
                   best_coverage=0.5)  # fmt: skip


@given(ENTRIES, QUERIES)
def test_a_fit_is_between_nothing_and_all(entry: EntryFacts, query: QueryFacts) -> None:
    assert 0 <= fit.fit(entry, query) <= 1


@given(QUERIES, COSINE, COSINE, SHARE)
def test_what_is_nearer_fits_no_less(
    query: QueryFacts, one: float, other: float, share: float
) -> None:
    far, near = sorted((one, other))
    assert fit.fit(EntryFacts(far, share), query) <= fit.fit(EntryFacts(near, share), query)


@given(QUERIES, st.none() | COSINE, SHARE, SHARE)
def test_what_has_more_of_the_words_fits_no_less(
    query: QueryFacts, cosine: float | None, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert fit.fit(EntryFacts(cosine, less), query) <= fit.fit(EntryFacts(cosine, more), query)


def test_the_best_of_few_fits_better_than_the_best_of_many() -> None:
    entry = EntryFacts(0.5, 0.3)
    few, many = replace(QUERY, entries=10), replace(QUERY, entries=100_000)
    assert fit.fit(entry, few) > fit.fit(entry, many)


@pytest.mark.parametrize("cosine", [None, 0.0, 0.3])
def test_a_name_as_it_is_written_always_fits(cosine: float | None) -> None:
    entry = EntryFacts(cosine, 0.0, names=0.5)
    assert fit.fit(entry, replace(QUERY, entries=10**6)) >= fit.NAMED


@pytest.mark.parametrize(("cosine", "coverage"), [(-0.2, 0.0), (0.1, 0.1), (0.2, 0.0)])
def test_an_answer_does_not_make_its_neighbours_answers(cosine: float, coverage: float) -> None:
    answered = replace(QUERY, cosines=(0.95, cosine), best_coverage=1.0)
    assert fit.fit(EntryFacts(0.95, 1.0), answered) > 0.9
    assert fit.fit(EntryFacts(cosine, coverage), answered) < 0.5


def test_what_has_all_the_words_fits() -> None:
    everything = EntryFacts(0.1, 1.0, complete=True)
    assert fit.fit(replace(everything, rare=True), QUERY) >= fit.COMPLETE
    assert fit.fit(replace(everything, cosine=None), QUERY) >= fit.COMPLETE
    assert fit.fit(everything, QUERY) < fit.COMPLETE


@pytest.mark.parametrize("cosine", [None, 0.5])
def test_nothing_fits_small_talk_but_a_name_that_is_made_of_it(cosine: float | None) -> None:
    entry = EntryFacts(cosine, 1.0, complete=True, rare=True)
    talk = replace(QUERY, small_talk=True)
    assert fit.fit(entry, talk) < 0.5
    assert fit.fit(replace(entry, names=0.5), talk) < 0.5
    assert fit.fit(replace(entry, names=1.0), talk) >= fit.NAMED


@pytest.mark.parametrize(
    "text",
    ["continue", "Yes, please!", "thanks, looks good", "go on", "ok", "what?",
     "weiter", "Can you explain that again, please?"],
)  # fmt: skip
def test_what_asks_for_nothing_is_small_talk(text: str) -> None:
    assert fit.is_small_talk(text)


@pytest.mark.parametrize(
    "text",
    ["go", "", "continue the deployment", "thanks to Anna", "ok google", "E4711", "go 1.22",
     "how do I stop the server", "日本語", "well, " * 30, "by myself"],
)  # fmt: skip
def test_what_names_anything_is_a_question(text: str) -> None:
    assert not fit.is_small_talk(text)


def test_an_unknown_word_counts_most_and_a_word_of_all_counts_little() -> None:
    weights = [fit.word_weight(frequency, 100) for frequency in (0, 1, 10, 50, 100)]
    assert weights == sorted(weights, reverse=True)
    assert weights[0] == pytest.approx(math.log(1 + 100.5 / 0.5))
    assert weights[-1] > 0
    assert fit.word_weight(500, 300) > 0  # more than there are: counted before some died
    assert fit.word_weight(1, 3) == fit.word_weight(1, 100)


@pytest.mark.parametrize(
    ("frequency", "entries", "rare"),
    [(0, 10, False), (1, 10, True), (3, 10, True), (4, 10, False), (50, 5000, True),
     (51, 5000, False)],
)  # fmt: skip
def test_a_rare_word_is_one_that_few_have(frequency: int, entries: int, *, rare: bool) -> None:
    assert fit.is_rare(frequency, entries) is rare


def test_a_single_cosine_is_compared_with_the_background() -> None:
    alone = fit.features(EntryFacts(0.6, 0.0), replace(QUERY, cosines=(0.6,)))
    assert alone["stands_out"] == pytest.approx(0.6 - fit.BACKGROUND)
    assert fit.features(EntryFacts(None, 0.0), replace(QUERY, cosines=()))["best_cosine"] == 0.0
