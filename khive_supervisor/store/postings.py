"""What may be asked of the full-text index as lists of words; see `interface`."""

from __future__ import annotations

from typing import Protocol

from khive_supervisor.store.model import Fate


class WordStore(Protocol):
    """The full-text index as lists of words, and which entries have died or come back."""

    def phrase_ids(self, term: str, limit: int, above: int = 0) -> list[int]:
        """The live entries above an id in which a term of `text.query_terms` occurs.

        In the order of ids, at most `limit`.
        """
        ...

    def vocabulary(self, after: str, limit: int) -> list[tuple[str, int]]:
        """The next tokens of the index in their order, and how often each occurs, roughly."""
        ...

    def occurrences(self, after: str, last: str) -> list[tuple[str, int, str]]:
        """Where live entries have the tokens above `after` up to `last`: token, id, column.

        One row for each occurrence, in the order of tokens and ids.
        """
        ...

    def ages(self, after: int, limit: int) -> list[tuple[int, float, float, float]]:
        """The next entries above an id: id, when it was made (unix seconds), salience, decay.

        None of these ever changes.
        """
        ...

    def fates(self, after: int) -> list[Fate]:
        """The entries that died or came back above a number, in the order of their last time."""
        ...

    def last_fate(self) -> int:
        """The number of the last entry that died or came back; 0: none ever did."""
        ...
