"""The facet of a store for what is removed for good, and for secrets that are in it already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed.

    Attributes:
        ids: the entries.
        vectors: rows of vectors.
        learned: what profiles had learned of the entries, in rows.
        sources: the names of documents that said them; they say them still.
        versions: entries that the purged ones had replaced: they are there still.
    """

    ids: tuple[int, ...]
    vectors: int
    learned: int
    sources: tuple[str, ...]
    versions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """Where in the store a secret is: never what it is.

    Attributes:
        table, column, row: its place; `row` is the number of the row.
        place: line, column and rule, in words.
    """

    table: str
    column: str
    row: int
    place: str


class PurgeStore(Protocol):
    """What is removed leaves an empty row, so that its id is never used again."""

    def check_room(self) -> None:
        """Raise StoreUnavailable if the disk has no room to purge all the way; nothing is done."""
        ...

    def purge(self, ids: Sequence[int]) -> Purged:
        """Remove entries for good, all or none, with all that other tables hold of them.

        Content, words, vectors, sources, what profiles learned of them. The bytes may still be in
        the log (`checkpoint`) and in free pages (`compact`).
        """
        ...

    def take_place(self, old_id: int, new_id: int) -> None:
        """Let the sources that say an entry say another one instead."""
        ...

    def compact(self) -> None:
        """Write the database anew, without free pages; writers wait meanwhile."""
        ...

    def holders(self, needle: bytes) -> list[str]:
        """Return which columns of which rows hold some bytes: `tasks.payload of t12`."""
        ...

    def secrets(self) -> Iterator[FoundSecret]:
        """Return the secrets in all texts that are kept, table by table."""
        ...

    def values(self, found: Sequence[FoundSecret]) -> list[bytes]:
        """Return the beginnings of secrets, to look for what is left of them; not to be shown."""
        ...

    def mask(self, found: Sequence[FoundSecret]) -> int:
        """Mask secrets outside of entries where they are; return how many columns were changed."""
        ...
