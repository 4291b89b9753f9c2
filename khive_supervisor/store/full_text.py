"""The facets of a store for full text: as a search engine, and as lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from khive_supervisor.store.model import EVERYTHING, EntryFilter
from khive_supervisor.store.vectors import Fate


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

    def count(self, term: str, where: EntryFilter, *, above: int = 0) -> int:
        """Return how many entries with an id above `above` have a term of `text.read_query`.

        Of those in the collection, the namespaces, the kinds and with the tags of a filter.
        """
        ...

    def tidy(self, *, begin: bool) -> bool:
        """Put the index's parts together in one short step; return whether another has more to do.

        Every search looks into every part: after a large import, tidying makes searches almost
        twice as quick. `begin` with the first step of a series, not with the others.
        """
        ...


class PostingStore(Protocol):
    """The full-text index as lists, and which entries have died or come back; reading only."""

    def phrase_ids(self, term: str, limit: int, above: int = 0) -> list[int]:
        """Return the live entries above an id in which a term of `text.read_query` occurs.

        In the order of ids, at most `limit`.
        """
        ...

    def having(self, term: str, ids: Sequence[int], entries: int) -> set[int]:
        """Return those of some entries that have a term of `text.read_query` and live.

        About so many `entries` have it in all, by which the quicker way is chosen.
        """
        ...

    def vocabulary(self, after: str, limit: int) -> list[tuple[str, int]]:
        """Return the next tokens in their order, and how often each occurs, roughly."""
        ...

    def occurrences(self, after: str, last: str) -> list[tuple[str, int, str]]:
        """Return where live entries have the tokens above `after` up to `last`: token, id, column.

        One row for each occurrence, in the order of tokens and ids.
        """
        ...

    def ages(self, after: int, limit: int) -> list[tuple[int, float, float, float, int]]:
        """Return the next entries above an id: id, time made (unix seconds), salience, decay.

        None of these ever changes. The last number is the entry's project, 0 for none: one that
        moves is among the `fates`.
        """
        ...

    def fates(self, after: int) -> list[Fate]:
        """Return the entries that died or came back above a number, in the order of these."""
        ...

    def last_fate(self) -> int:
        """Return the number of the last entry that died or came back; 0: none ever did."""
        ...
