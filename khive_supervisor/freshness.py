"""Values that a process keeps of the store, and the check at each use that they are still true.

A check asks SQLite for `PRAGMA data_version` on the process's own connection (2-5 µs). Only when
that has moved are the counters of changes read, once for all values of the store; only when those
of a value's own kinds have moved is the value loaded again. So a commit of something else costs one
small statement, and nothing is ever served that was not true when it was asked for.

Order is what makes it right: token, then counters, then rows. Whatever is committed in between is
then in the rows although not in the numbers, and costs a needless load, never a stale answer.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from khive_supervisor.store.model import ChangeCounts

T = TypeVar("T")

#: `data_version` and a count of own commits: another one after every commit.
Token = tuple[int, int]

#: Kinds that the store counts.
GENERATIONS, PROFILES, POSTERIORS, BINDINGS = "generations", "profiles", "posteriors", "bindings"
TASKS = "tasks"
FATES = "fates"
PROJECTS = "projects"


class FreshnessSource(Protocol):
    """What of a store is needed here."""

    def change_token(self) -> Token | None:
        """Return the token as of now; None inside a transaction."""
        ...

    def change_counts(self) -> ChangeCounts:
        """Return how often each kind of thing has changed, and in which past."""
        ...


@dataclass(slots=True)
class FreshnessStats:
    """How often was checked, how often the store had moved, how often a value was loaded."""

    checks: int = 0
    moved: int = 0
    reloads: int = 0


class Versions:
    """The last look at a store's token and counters, shared by all values kept of that store.

    For any thread, and without a lock of its own, so that it cannot deadlock with the store's: what
    two threads learn at once is put in place whole, and an older look is only one that is repeated.
    """

    def __init__(self, source: FreshnessSource) -> None:
        self._source = source
        self._seen: tuple[Token, ChangeCounts] | None = None
        self._values: weakref.WeakSet[Fresh[object]] = weakref.WeakSet()
        self.stats = FreshnessStats()

    def token(self) -> Token | None:
        """The token as of now; None inside a transaction of this connection."""
        self.stats.checks += 1
        return self._source.change_token()

    def counts(self, token: Token) -> ChangeCounts:
        """The counters as of `token`, which was asked for before this, or of a later moment."""
        seen = self._seen
        if seen is not None and seen[0] == token:
            return seen[1]
        self.stats.moved += 1
        counts = self._source.change_counts()
        self._seen = (token, counts)
        return counts

    def keep(self, value: Fresh[object]) -> None:
        """Know of a value, for as long as somebody else does."""
        self._values.add(value)

    def refresh(self, kinds: Collection[str]) -> None:
        """Bring every value that is made of one of these kinds up to date, before it is asked for.

        A value that nobody has asked for yet is left alone.
        """
        for value in list(self._values):
            if value.loaded and not value.kinds.isdisjoint(kinds):
                value.get()


class Fresh(Generic[T]):
    """One value made of the store's rows of some kinds; for any thread.

    Inside a transaction of the same connection nothing is kept, and what was kept is not used: the
    number that tells is frozen there, and the connection sees rows that may yet be rolled back.
    Each `get` loads then.
    """

    def __init__(self, versions: Versions, kinds: Collection[str], load: Callable[[], T]) -> None:
        self.kinds = frozenset(kinds)
        self._versions = versions
        self._load = load
        #: A value with what was read before its rows.
        self._kept: tuple[Token, ChangeCounts, T] | None = None
        versions.keep(self)  # type: ignore[arg-type]  # only refreshed there, never looked at

    @property
    def loaded(self) -> bool:
        """Return True if there is a value that may still be true."""
        return self._kept is not None

    def get(self) -> T:
        """The value as of now."""
        token = self._versions.token()
        kept = self._kept
        if token is None:
            self._versions.stats.reloads += 1
            return self._load()
        if kept is not None and kept[0] == token:
            return kept[2]
        counts = self._versions.counts(token)
        if kept is not None and counts.same(kept[1], self.kinds):
            value = kept[2]
        else:
            self._versions.stats.reloads += 1
            value = self._load()
        self._kept = (token, counts, value)
        return value

    def invalidate(self) -> None:
        """Load again at the next `get`, whatever the store says."""
        self._kept = None
