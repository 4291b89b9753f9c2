"""The facet of a store for projects: what entries are about, by the marks of directories."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.model import EntryFilter


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project as it is stored.

    `merged_into` is the project that it has become a part of; None: it is one by itself. `marks`
    are those that are its own. Times are unix seconds.
    """

    id: int
    name: str
    merged_into: int | None
    created_at: float
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectFamily:
    """A project and those that were merged into it; `ids` begins with the project itself."""

    ids: tuple[int, ...]
    name: str


class ProjectStore(Protocol):
    """Projects, by their numbers and marks. Numbers are never used again.

    A project is stored with the first entry in it. Those that were merged are one family, whose
    entries keep the numbers that they were stored with.
    """

    def find(self, identity: ProjectIdentity) -> ProjectFamily | None:
        """Return the family of a project; None if nothing was ever stored in it."""
        ...

    def ensure(self, identity: ProjectIdentity) -> int:
        """Return the number that entries of a project get; the project is stored if it is new."""
        ...

    def named(self, name: str) -> list[ProjectFamily]:
        """Return the families with a name, letter case aside."""
        ...

    def family(self, project_id: int) -> ProjectFamily | None:
        """Return the family that a project belongs to; None if there is no such project."""
        ...

    def names(self, ids: Iterable[int]) -> dict[int, str]:
        """Return the names of the families that these projects belong to."""
        ...

    def all(self) -> list[ProjectRow]:
        """Return all projects in the order of their numbers, those that were merged, too."""
        ...

    def counts(self, where: EntryFilter) -> Mapping[int | None, int]:
        """Return how many live entries that pass a filter each project has; None: no project."""
        ...

    def rename(self, project_id: int, name: str) -> None:
        """Give a project another name; `NotFound` if there is none."""
        ...

    def merge(self, into: int, other: int) -> None:
        """Make a project, and all that was merged into it, a part of another one.

        `NotFound` if one of them does not exist. Merging a family into itself changes nothing.
        """
        ...

    def move(self, ids: Iterable[int], project_id: int | None) -> list[int]:
        """Move live entries into a project, or to the user as a whole; return those that moved.

        One whose text is there already stays where it is.
        """
        ...

    # --- what joins projects by themselves ----------------------------------------------------

    def unconfirmed(self, limit: int) -> list[ProjectRow]:
        """Return projects that a git directory marks and whose roots were never looked for."""
        ...

    def note_roots(self, project_id: int, roots: Collection[str]) -> None:
        """Store the root commits of a project; none: nothing will ever join it."""
        ...

    def without_roots(self, identity: ProjectIdentity) -> int | None:
        """Return the project of a whole that is stored without roots; None if it has some."""
        ...

    def note_candidates(self, identity: ProjectIdentity) -> None:
        """Note what a stored project has got since, such as a remote; nothing of any other."""
        ...

    def joinable(self, identity: ProjectIdentity) -> list[tuple[int, frozenset[str]]]:
        """Return other families with a candidate mark in common that have roots, and these."""
        ...

    def join(self, identity: ProjectIdentity, project_id: int) -> None:
        """Make a project a part of another one, whether it is stored already or not."""
        ...
