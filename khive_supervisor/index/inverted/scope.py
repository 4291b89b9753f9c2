"""Who may be found: a search's filter, answered from the inverted index as far as that is true.

Asking the store for a hundred candidates reads a page for nearly each of them. The file knows what
never changes of an entry, and the view which entries have died or come back since; only these, and
those that are newer than the file, are asked of the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.index.inverted.postings_file import PostingsFile
from khive_supervisor.sqlite.entries.conditions import impossible, scope_parts
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.store.vectors import Fate


@dataclass(frozen=True, slots=True)
class PostingsView:
    """An inverted index, and what it does not know: sorted ids, and if any of them came back."""

    file: PostingsFile
    changed: NDArray[np.int64]
    revived: bool

    @classmethod
    def of(cls, file: PostingsFile, fates: Sequence[Fate]) -> PostingsView:
        """Return the file as of now; `fates` are those above `file.about.fate`."""
        old = [fate for fate in fates if fate.entry_id <= file.description.highest]
        changed = np.array(sorted({fate.entry_id for fate in old}), np.int64)
        return cls(file, changed, any(fate.live for fate in old))

    def knows(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return True for each entry of which it can tell whether it lives and what it is."""
        inside = (ids >= 0) & (ids <= self.file.description.highest)
        inside[inside] = self.file.lengths[ids[inside]] > 0
        return inside & ~member(ids, self.changed) if len(self.changed) else inside

    def passing(self, ids: NDArray[np.int64], where: EntryFilter) -> NDArray[np.bool_]:
        """Return which of some entries that it knows pass a filter."""
        passed = np.full(len(ids), not impossible(where))
        parts = scope_parts(where)
        postings = self.file.postings(token for tokens in parts for token in tokens)
        for tokens in parts:
            found = [postings[token][0] for token in tokens if token in postings]
            passed &= _any_of(ids, found, self.file.description.items)
        if where.since is not None:
            passed &= self.file.created[ids] >= where.since
        if where.until is not None:
            passed &= self.file.created[ids] < where.until
        if where.projects is not None and self.file.projects is not None:
            passed &= np.isin(self.file.projects[ids], _numbers(where.projects))
        return passed

    def judges(self, where: EntryFilter) -> bool:
        """Return True if the file knows all that a filter asks for."""
        return not where.said and (where.projects is None or self.file.projects is not None)

    def mask(self, where: EntryFilter) -> NDArray[np.bool_]:
        """Return by entry id which of all entries that it knows pass a filter."""
        mask = np.asarray(self.file.lengths > 0)
        if impossible(where):
            mask[:] = False
        np.put(mask, self.changed, False, mode="clip")
        parts = scope_parts(where)
        postings = self.file.postings(token for tokens in parts for token in tokens)
        for tokens in parts:
            lists = [postings[token][0] for token in tokens if token in postings]
            if any(len(one) == self.file.description.items for one in lists):
                continue
            among = np.zeros(len(mask), np.bool_)
            for one in lists:  # numbers of a damaged file may be no places
                np.put(among, one, True, mode="clip")
            mask &= among
        if where.since is not None:
            mask &= self.file.created >= where.since
        if where.until is not None:
            mask &= self.file.created < where.until
        if where.projects is not None and self.file.projects is not None:
            mask &= np.isin(self.file.projects, _numbers(where.projects))
        return mask

    def ages(self, ids: Sequence[int]) -> dict[int, tuple[float, float, float]]:
        """When entries that it knows were made (unix seconds), their saliences and decays."""
        given = np.array(ids, np.int64)
        known = given[self.knows(given)]
        file = self.file
        # A damaged number must not spoil the order, nor the answer as JSON.
        columns = map(np.nan_to_num, (file.created[known], file.salience[known], file.decay[known]))
        return dict(
            zip(known.tolist(), zip(*(c.tolist() for c in columns), strict=True), strict=True)
        )


#: Candidates beyond those that a share of passing entries would take.
_MORE = 1.3


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may find: the filter, the entries that pass it if these are few, and a view.

    `view` None: there is no inverted index, everything is asked of the store. `mask`: by entry id,
    which entries of the view's file pass; None: nobody has looked.
    """

    store: Store
    where: EntryFilter
    few: NDArray[np.int64] | None = None
    view: PostingsView | None = None
    mask: NDArray[np.bool_] | None = None

    def candidates_each(self) -> float:
        """Return how many candidates a wanted result takes, if those that pass are spread evenly.

        With a few more, since they are not; 1 if nobody has looked who passes.
        """
        if self.mask is None or self.view is None:
            return 1.0
        items = self.view.file.description.items
        return _MORE * items / max(int(np.count_nonzero(self.mask)), 1)

    def passing(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some entries live and pass the filter; for any thread."""
        if self.view is None or not self.view.judges(self.where):
            return self._asked(ids)
        known = self.view.knows(ids)
        if known.all():
            return self.view.passing(ids, self.where)
        passed = np.zeros(len(ids), np.bool_)
        passed[known] = self.view.passing(ids[known], self.where)
        passed[~known] = self._asked(ids[~known])
        return passed

    def _asked(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        listed = ids.tolist()
        passed = self.store.entries.filter_ids(listed, self.where)
        return np.fromiter((one in passed for one in listed), np.bool_, len(listed))


def _numbers(projects: Sequence[int | None]) -> NDArray[np.int32]:
    """Return projects as the file has them: 0 is for none."""
    return np.array([one or 0 for one in projects], np.int32)


def member(ids: NDArray[np.integer[Any]], ascending: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return which of some ids are in an ascending list."""
    if not len(ascending):
        return np.zeros(len(ids), np.bool_)
    found: NDArray[np.bool_] = ascending[place_of(ids, ascending)] == ids
    return found


def place_of(
    ids: NDArray[np.integer[Any]], ascending: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """Where some ids are in an ascending list that is not empty; if they are, else anywhere."""
    return np.minimum(np.searchsorted(ascending, ids), len(ascending) - 1)


def _any_of(
    ids: NDArray[np.int64], postings: Sequence[NDArray[np.int32]], everybody: int
) -> NDArray[np.bool_]:
    """Return which of some ids are in any of the lists; one that has everybody needs no look."""
    if any(len(one) == everybody for one in postings):
        return np.ones(len(ids), np.bool_)
    passed = np.zeros(len(ids), np.bool_)
    for one in postings:
        passed |= member(ids, one)
    return passed
