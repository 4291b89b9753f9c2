"""The facet of a store for sources: who says the entries that were learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from khive_supervisor.store.model import Beside, KnownSource, LearnedText, SourceText


class SourceStore(Protocol):
    """Sources by namespace and name. A source has one living text."""

    def say(
        self,
        text: SourceText,
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> LearnedText:
        """Store what a source says, and retire what it no longer says, all or none.

        An entry that no source says any more is deleted (`EntryStore.restore` brings it back); one
        that another source says lives on. Tags of a known entry are added, a kind that was asked
        for is taken. Of a text in several parts, what is new is not live before the last part if
        there is old text that it replaces: at no time are both, or neither, found.
        """
        ...

    def begin_run(self) -> int:
        """Return a number for a reading of sources, greater than all before."""
        ...

    def last_run(self) -> int:
        """Return the number that `begin_run` gave last; 0: none."""
        ...

    def end(
        self, namespace: str, names: Iterable[str], project: int | None = None
    ) -> tuple[int, ...]:
        """Retire all that these sources say; return the entries that were live until now.

        Names that are neither a file's nor an address are those of a project.
        """
        ...

    def below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        """Return the next sources after a name that are files in a folder, by name."""
        ...

    def named(
        self, namespace: str, names: Sequence[str], project: int | None = None
    ) -> list[KnownSource]:
        """Return those of these sources that say something, by name; as for `end`."""
        ...

    def with_digests(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        """Return the sources whose text has one of these digests, by name."""
        ...

    def of(self, entry: int) -> list[tuple[str, str, float | None]]:
        """Return who says an entry: name, place there, and when it stopped (unix seconds)."""
        ...

    def beside(self, ids: Iterable[int]) -> dict[int, Beside]:
        """Return what stands before and after pieces of documents, by their ids.

        Of what was learned: in what its source says now, one that was forgotten by itself included.
        Of live memories that have a source and a title in common: in the order in which they were
        stored. Pieces that have neither before nor after them are left out.
        """
        ...

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        """Return those of the content hashes that need no vector: live, or deleted with one."""
        ...
