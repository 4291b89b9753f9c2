"""The arm of full text: by the inverted index of the generation where there is one, else by FTS5.

The file answers for what is in it, and FTS5 for what is newer, with the same choice of words and
the same score; so an entry is found by its words in the next call after it was written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.index.inverted.postings_file import COLUMN_WEIGHTS, MOST_IMPACT, Postings
from khive_supervisor.index.inverted.scope import PostingsView, Scope, member, place_of
from khive_supervisor.search import lexical, postings
from khive_supervisor.search.lexical import Scored, TermSelection
from khive_supervisor.store.interface import Store
from khive_supervisor.text import analysis as text
from khive_supervisor.text.analysis import match_expression

#: Entries of a phrase that are looked at; one that more have is as good as a common word.
_PHRASE_ENTRIES = 5000
#: Entries of a phrase of which FTS5 is asked what it is worth in each (1.5 µs each).
_SCORED_ENTRIES = 300

#: Entries that are taken for searched at least: a few say nothing of how common a word is.
FEWEST_ENTRIES = 100
#: The share of all entries from which on a scope's words are not counted apart.
_NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True)
class LexicalMatches:
    """Entries with their BM25, best first, of which words, and what is known of all of them.

    `frequencies`: in how many of the `entries` each term that was looked up occurs; `by_term`: the
    entries of terms that the inverted index has, up to the entry `known` (0: there is none).
    """

    found: Scored
    selection: TermSelection
    terms: int
    frequencies: Mapping[str, int] = field(default_factory=dict)
    entries: int = 0
    by_term: Mapping[str, Postings] = field(default_factory=dict)
    known: int = 0

    def __str__(self) -> str:
        used = len(self.selection.required) + len(self.selection.optional)
        return f"{len(self.found)} candidates for {used} of {self.terms} words"


class LexicalSearch:
    """Searches one store by words; used by one thread at a time."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._frequencies = lexical.FrequencyCache(store.full_text.document_frequencies, clock)

    def search(self, terms: text.Query, scope: Scope, limit: int) -> LexicalMatches:
        """Return the best entries in the scope for the terms of a query."""
        view = scope.view
        # What came back is not in the file, and FTS5 cannot be asked for it alone.
        if view is None or view.revived:
            return self._by_index(terms, scope, limit)
        return self._by_file(terms, scope, view, limit)

    def _by_index(self, terms: text.Query, scope: Scope, limit: int) -> LexicalMatches:
        frequencies = self._frequencies(lexical.worth_looking_up(terms))
        entries = self._store.entries.highest_id()
        selection = lexical.select(terms, frequencies, entries)
        found = self._matched(selection, scope, limit)
        return LexicalMatches(found, selection, len(terms), frequencies, entries)

    def _by_file(
        self, terms: text.Query, scope: Scope, view: PostingsView, limit: int
    ) -> LexicalMatches:
        highest, known = self._store.entries.highest_id(), view.file.description.highest
        tokens = self._store.full_text.tokens(lexical.worth_looking_up(terms, postings.BUDGET))
        by_term = self._postings_of(tokens, view)
        items = view.file.description.items
        if scope.mask is not None:
            # What nobody may find counts nothing: a word is rare or common in what is searched.
            by_term, items = _within(by_term, scope.mask), int(np.count_nonzero(scope.mask))
        items = max(items, FEWEST_ENTRIES)
        frequencies = {term: len(ids) for term, (ids, _) in by_term.items()}
        if highest > known:
            new = {term: found for term, found in tokens.items() if term not in by_term}
            frequencies |= self._newer(new, known)
        entries = items + highest - known
        selection = lexical.select(terms, frequencies, entries, postings.BUDGET)
        found = postings.retrieve(selection, by_term, items, scope.passing, limit)
        if highest > known:
            found += self._matched(selection, scope, limit, above=known)
            found = sorted(found, key=lambda hit: (-hit[1], -hit[0]))[:limit]
        looked_up = {term: frequencies.get(term, 0) for term in tokens}
        return LexicalMatches(found, selection, len(terms), looked_up, entries, by_term, known)

    def within(self, matches: LexicalMatches, scope: Scope) -> tuple[Mapping[str, int], int]:
        """Return in how many entries of a scope each looked-up term occurs, and how many there are.

        Of the whole store where the scope holds too many to count them, or nearly all: the numbers
        are nearly the same then.
        """
        if scope.few is None or len(scope.few) >= _NEARLY_ALL * matches.entries:
            return matches.frequencies, matches.entries
        newest = bool(len(scope.few)) and scope.few[-1] > matches.known
        found = {}
        for term, count in matches.frequencies.items():
            inside = newer = 0
            if count and term in matches.by_term:
                inside = _shared(matches.by_term[term][0], scope.few)
            if count and newest:
                newer = self._store.full_text.count(term, scope.where, above=matches.known)
            found[term] = inside + newer
        return found, len(scope.few)

    def holders(self, matches: LexicalMatches, ids: Sequence[int]) -> dict[str, set[int]]:
        """Return which of some entries have each of the terms that were looked up."""
        array = np.array(sorted(ids), np.int64)
        newer = array[array > matches.known].tolist()
        having: dict[str, set[int]] = {}
        for term, count in matches.frequencies.items():
            if not count:
                continue
            there = set(self._store.postings.having(term, newer, count)) if newer else set()
            if term in matches.by_term:
                there.update(array[member(array, matches.by_term[term][0])].tolist())
            having[term] = there
        return having

    def _matched(
        self, selection: TermSelection, scope: Scope, limit: int, above: int = 0
    ) -> Scored:
        def match(expression: str, count: int) -> Scored:
            return self._store.full_text.match(
                expression, count, scope.where, COLUMN_WEIGHTS, above=above
            )

        return lexical.retrieve(selection, match, limit)

    def _newer(self, tokens: Mapping[str, Sequence[str]], known: int) -> dict[str, int]:
        """Return how often terms that the file does not have are in what is newer."""
        words = [term for term, found in tokens.items() if len(found) == 1]
        phrases = [term for term, found in tokens.items() if len(found) > 1]
        new = {
            term: self._store.postings.phrase_ids(term, _PHRASE_ENTRIES, known) for term in phrases
        }
        return {**self._frequencies(words), **{term: len(ids) for term, ids in new.items()}}

    def _postings_of(
        self, tokens: Mapping[str, Sequence[str]], view: PostingsView
    ) -> dict[str, Postings]:
        """Return the entries of each of the terms that is in the file."""
        words = view.file.postings(token for found in tokens.values() for token in found)
        by_term = {}
        for term, found in tokens.items():
            parts = [words[token] for token in found if token in words]
            if len(parts) < len(found) or not parts:
                continue
            if len(parts) == 1:
                by_term[term] = parts[0]
            else:
                by_term[term] = self._phrase(term, parts, view)
        return {term: one for term, one in by_term.items() if len(one[0])}

    def _phrase(self, term: str, parts: Sequence[Postings], view: PostingsView) -> Postings:
        """Return the entries of a phrase of whose words these are the lists.

        Only FTS5 knows whether they stand side by side, and how often. Of many entries that is
        taken from the words: not more often than the rarest of them.
        """
        common = _common([ids for ids, _ in parts])
        if not len(common):
            return common, parts[0][1][:0]
        if len(common) <= _SCORED_ENTRIES:
            return self._scored(term, view)
        ids = np.array(self._store.postings.phrase_ids(term, _PHRASE_ENTRIES), np.int32)
        ids = ids[member(ids, common)]
        worths = [impacts[place_of(ids, entries)] for entries, impacts in parts]
        return ids, np.minimum.reduce(worths)

    def _scored(self, term: str, view: PostingsView) -> Postings:
        """Return the entries of a phrase that are in the file, with what it is worth in each."""
        expression = match_expression([term])
        rows = self._store.full_text.match(expression, _PHRASE_ENTRIES, weights=COLUMN_WEIGHTS)
        idf = lexical.inverse_frequency(len(rows), self._entries(view))
        known = sorted(row for row in rows if row[0] <= view.file.description.highest)
        ids = np.array([entry for entry, _ in known], np.int32)
        worth = [min(score / idf, MOST_IMPACT) for _, score in known]
        return ids, np.array(worth, np.float16)

    def _entries(self, view: PostingsView) -> int:
        """Return how many entries there are, about: those that died since are still counted."""
        description = view.file.description
        return description.items + self._store.entries.highest_id() - description.highest


def _within(by_term: Mapping[str, Postings], mask: NDArray[np.bool_]) -> dict[str, Postings]:
    """Return the entries of each term that are in a mask; terms of none are left out."""
    found = {}
    for term, (ids, impacts) in by_term.items():
        inside = mask.take(ids, mode="clip")
        if inside.any():
            found[term] = ids[inside], impacts[inside]
    return found


def _shared(some: NDArray[Any], others: NDArray[Any]) -> int:
    """Return how many ids two ascending lists share."""
    few, many = (some, others) if len(some) < len(others) else (others, some)
    return int(member(few, many).sum())


def _common(by_term: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Return the entries that are in all of the ascending lists."""
    return reduce(lambda some, one: some[member(some, one)], sorted(by_term, key=len))
