"""The facet of a store for full text: the lexical arm of the search."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from khive_supervisor.store.model import EVERYTHING, EntryFilter


class FullText(Protocol):
    """The full-text index as a search engine; `PostingStore` has it as lists."""

    def match(
        self,
        expression: str,
        limit: int,
        where: EntryFilter = EVERYTHING,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        above: int = 0,
    ) -> list[tuple[int, float]]:
        """Return the live entries that match an expression of `text.match_expression`, best first.

        Each is an id and a score: BM25, greater is better (never negative for a match that counts).
        `weights` are those of title, content and tags; only entries with an id above `above`. An
        empty expression matches nothing.
        """
        ...

    def tokens(self, terms: Iterable[str]) -> dict[str, list[str]]:
        """Return each term of `text.read_query` as the index knows it: stemmed, no diacritics.

        One token is a word, several are a phrase, none is nothing that the index holds.
        """
        ...

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Return in how many entries each term of `text.read_query` occurs (0: in none).

        Entries that were deleted a short while ago may still be counted.
        """
        ...

    def tidy(self, *, begin: bool) -> bool:
        """Put the index's parts together in one short step; return whether another has more to do.

        Every search looks into every part: after a large import, tidying makes searches almost
        twice as quick. `begin` with the first step of a series, not with the others.
        """
        ...
