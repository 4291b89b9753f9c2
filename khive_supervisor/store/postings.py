"""The facet of a store for postings: which entries a token occurs in."""

from __future__ import annotations

from typing import Protocol

from khive_supervisor.store.model import Fate


class PostingStore(Protocol):
    """The full-text index as lists, and which entries have died or come back; reading only."""

    def phrase_ids(self, term: str, limit: int, above: int = 0) -> list[int]:
        """Return the live entries above an id in which a term of `text.read_query` occurs.

        In the order of ids, at most `limit`.
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

    def ages(self, after: int, limit: int) -> list[tuple[int, float, float, float]]:
        """Return the next entries above an id: id, time made (unix seconds), salience, decay.

        None of these ever changes.
        """
        ...

    def fates(self, after: int) -> list[Fate]:
        """Return the entries that died or came back above a number, in the order of these."""
        ...

    def last_fate(self) -> int:
        """Return the number of the last entry that died or came back; 0: none ever did."""
        ...
