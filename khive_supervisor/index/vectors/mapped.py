"""One generation, mapped: the nearest items by Annoy, and the items' own vectors.

The pages are the kernel's, shared by all processes that map the file. Annoy reads a mapping
without any check, so nothing is mapped that was not looked at, and a file that has become shorter
since (nobody of ours does that) is not touched again: reading beyond its end kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.index.inverted.postings_file import PostingsFile
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.layout import METRIC, check_geometry, nodes
from khive_supervisor.index.vectors.sketch import Sketch
from khive_supervisor.index.vectors.slots import SlotMap
from khive_supervisor.store.vectors import DENSE, Generation, GenerationStore

T = TypeVar("T")
#: Times that the store is asked anew when the file has gone between reading its row and opening
#: it: each time, a newer generation was published and the old one removed in that moment.
_ATTEMPTS = 5
#: Candidates of the sketch that are scored in full, for each wanted one and at least: the order of
#: the sketch is near enough for these to hold the nearest.
_RESCORED, _RESCORED_AT_LEAST = 1.5, 300
#: Vectors that are taken from the file at once: 200 KB at 384 dimensions, which a session hardly
#: notices.
_ROWS_AT_ONCE = 128
#: Items of a stretch for each wanted one up to which all of it is multiplied: copying one vector
#: costs as much as multiplying three.
_DENSE = 3


class MappedGeneration:
    """A generation that can be searched; processes forked from this one share the mapping.

    Raises FileNotFoundError and IndexFileError like `Generations.open`.
    """

    def __init__(self, generations: Generations, row: Generation) -> None:
        self.row = row
        if row.metric not in (METRIC, DENSE):
            raise IndexFileError(f"The metric of generation {row.generation} is {row.metric}.")
        self._descriptor = generations.open(row)
        try:
            check_geometry(self._descriptor, row.dimensions, row.slots, row.trees)
            self._annoy = _load(self._descriptor, generations.path(row), row)
            self._nodes = nodes(self._descriptor, row.dimensions) if row.direct else None
            self._slots = _slots_of(generations, row)
            # Without a sketch, Annoy's trees serve; without an inverted index, FTS5.
            self._sketch = _beside(Sketch, generations.sketch(row), row) if row.direct else None
            self.postings = _beside(PostingsFile, generations.postings(row), row)
        except BaseException:
            os.close(self._descriptor)
            raise

    def intact(self) -> bool:
        """Return True if the mapped files still have all their bytes (two system calls)."""
        return (
            self._descriptor >= 0
            and os.fstat(self._descriptor).st_size == self.row.bytes
            and (self._slots is None or self._slots.intact())
            and (self._sketch is None or self._sketch.intact())
            and (self.postings is None or self.postings.intact())
        )

    @property
    def has_sketch(self) -> bool:
        """Return True if `scan` can be asked."""
        return self._sketch is not None and self._nodes is not None

    def places(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return where the sketch has those of some entries that it has, for `scan`."""
        assert self._sketch is not None
        slots = ids if self._slots is None else self._slots.slots(ids)
        return self._sketch.places(slots[(slots >= 0) & (slots < self.row.slots)], self.row.slots)

    def scan(
        self, vector: NDArray[np.float32], count: int, within: NDArray[np.int32] | None = None
    ) -> tuple[list[tuple[int, float]], bool]:
        """Like `nearest`, by the sketch; and whether these are all that there are.

        `within`: only the entries of these `places`.
        """
        assert self._sketch is not None
        wanted = max(round(count * _RESCORED), _RESCORED_AT_LEAST)
        slots, cosines = self._at(vector, self._sketch.candidates(vector, wanted, within))
        order = np.argsort(-cosines, kind="stable")[:count]
        hits = list(zip(self._ids(slots[order]), cosines[order].tolist(), strict=True))
        there = self.row.slots if within is None else len(within)
        return hits, wanted >= there and len(hits) == len(slots)

    def nearest(
        self, vector: NDArray[np.float32], count: int, search_k: int
    ) -> list[tuple[int, float]]:
        """Return the entries that look nearest to a unit vector, best first, with their cosines.

        Approximate: Annoy inspects about `search_k` nodes.
        """
        slots, distances = self._annoy.get_nns_by_vector(
            vector.tolist(), count, search_k, include_distances=True
        )
        ids = self._ids(np.array(slots, np.int64))
        return [(item, 1.0 - d * d / 2.0) for item, d in zip(ids, distances, strict=True)]

    def _ids(self, slots: NDArray[np.int64]) -> list[int]:
        """Return the entries of slots."""
        found: list[int] = (slots if self._slots is None else self._slots.entries(slots)).tolist()
        return found

    def cosines(
        self, vector: NDArray[np.float32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return those of the ids that are in this generation, and their exact cosines.

        Nothing if vectors cannot be taken from the file here: ask the store for them.
        """
        slots = ids if self._slots is None else self._slots.slots(ids)
        inside = (slots >= 0) & (slots < self.row.slots)
        if not inside.all():
            ids, slots = ids[inside], slots[inside]
        known, cosines = self._at(vector, slots)
        return (ids if len(known) == len(ids) else np.array(self._ids(known), np.int64)), cosines

    def vectors(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return those of the ids that are in this generation, and copies of their vectors."""
        slots = ids if self._slots is None else self._slots.slots(ids)
        inside = (slots >= 0) & (slots < self.row.slots)
        if self._nodes is None or not inside.any():
            return ids[:0], np.empty((0, self.row.dimensions), np.float32)
        known = slots[inside]
        if self._slots is None:
            known = known[self._nodes["descendants"][known] == 1]
        return np.array(self._ids(known), np.int64), self._nodes["vector"][known]

    def _at(
        self, vector: NDArray[np.float32], slots: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return those of the slots that have a vector, and their exact cosines."""
        if self._nodes is None:
            return slots[:0], np.empty(0, np.float32)
        known = slots
        if self._slots is None:
            known = slots[self._nodes["descendants"][slots] == 1]
        if not len(known):
            return known, np.empty(0, np.float32)
        first, last = int(known.min()), int(known.max())
        if last - first < _DENSE * len(known):
            # Nearly all of a stretch: a product over it, without a copy of any.
            stretch = self._nodes["vector"][first : last + 1] @ vector
            return known, stretch[known - first]
        found = np.empty(len(known), np.float32)
        for start in range(0, len(known), _ROWS_AT_ONCE):
            some = known[start : start + _ROWS_AT_ONCE]
            found[start : start + len(some)] = self._nodes["vector"][some] @ vector
        return known, found

    def close(self) -> None:
        """Unmap and let the file go; again is harmless."""
        if self._descriptor >= 0:
            self._annoy.unload()
            self._nodes = None
            if self._slots is not None:
                self._slots.close()
            if self._sketch is not None:
                self._sketch.close()
            if self.postings is not None:
                self.postings.close()
            os.close(self._descriptor)
            self._descriptor = -1


def _slots_of(generations: Generations, row: Generation) -> SlotMap | None:
    """Return whose the vectors of a dense generation are; None for one whose slots are ids.

    Raises IndexFileError: nobody can tell, so nothing of the file is of use.
    """
    if not row.dense:
        return None
    try:
        return SlotMap(generations.slots(row), row)
    except OSError as error:
        raise IndexFileError(f"{generations.slots(row)}: {error.strerror}.") from error


def _beside(kind: Callable[[str, Generation], T], path: str, row: Generation) -> T | None:
    """Return what lies beside a generation's file; None if that is not there, or another's."""
    try:
        return kind(path, row)
    except (OSError, IndexFileError):
        return None


def map_current(
    stored: GenerationStore, model_id: str, generations: Generations
) -> MappedGeneration | None:
    """Map the generation that is current now; None if there is none.

    Raises IndexFileError when it cannot be used.
    """
    row = stored.current(model_id)
    for _ in range(_ATTEMPTS):
        if row is None:
            return None
        try:
            return MappedGeneration(generations, row)
        except FileNotFoundError:
            before, row = row, stored.current(model_id)
            if row == before:
                break
        except OSError as error:
            raise IndexFileError(
                f"The index file {generations.path(row)} cannot be opened: {error.strerror}."
            ) from error
    raise IndexFileError(f"The index file {generations.path(before)} is missing.")


def _load(descriptor: int, path: str, row: Generation) -> Any:
    annoy = AnnoyIndex(row.dimensions, METRIC)
    # The very file that was checked, whatever its path is by now.
    checked = f"/proc/self/fd/{descriptor}"
    try:
        annoy.load(checked if os.path.exists(checked) else path)
    except OSError as error:
        raise IndexFileError(f"Annoy cannot load {path}: {error}.") from error
    if annoy.get_n_items() != row.slots or annoy.get_n_trees() != row.trees:
        annoy.unload()
        raise IndexFileError(f"{path} holds other trees or items than were published.")
    return annoy
