"""The vectors that are newer than the generation: in memory, searched exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.store.model import VECTOR_COMPONENT_BYTES
from khive_supervisor.store.vectors import VectorStore

#: Rows that are turned into float32 at once: 3 MB at 384 dimensions, which fits a cache.
_BLOCK_ROWS = 2048


class Delta:
    """The newest vectors of a model, at most `limit` of them; kept up to date row by row.

    Dead entries' vectors are in it: whether an entry lives is asked of the store at the end.
    """

    def __init__(self, vectors: VectorStore, model_id: str, dimensions: int, limit: int) -> None:
        self._vectors = vectors
        self._model_id = model_id
        self._dimensions = dimensions
        self._row_bytes = dimensions * VECTOR_COMPONENT_BYTES
        self._limit = limit
        self.reset()

    def reset(self, covered_seq: int = 0) -> None:
        """Hold nothing: what was read is no longer what is newer, or of another past."""
        self._covered = self._last = covered_seq
        self._left_out = 0
        self._seqs = np.empty(0, np.int64)
        self.ids = np.empty(0, np.int64)
        self._matrix = np.empty((0, self._dimensions), np.float16)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def complete(self) -> bool:
        """Return True if all newer vectors are here; false only with more than `limit` of them."""
        return self._left_out <= self._covered

    def refresh(self, covered_seq: int) -> None:
        """Hold what is above `covered_seq`; reads only what came since the last time."""
        if covered_seq < self._covered:
            self.reset(covered_seq)
        self._covered = covered_seq
        since = max(self._last, covered_seq)
        rows = self._vectors.newest(self._model_id, since, self._limit + 1)
        rows = [row for row in rows if len(row.data) == self._row_bytes]
        fresh = np.array([row.entry_id for row in rows], np.int64)
        # An entry that was restored comes again under a new number: its old row goes.
        kept = np.flatnonzero((self._seqs > covered_seq) & ~np.isin(self.ids, fresh))
        if len(kept) == len(self.ids) and not rows:
            return
        data = np.frombuffer(b"".join(row.data for row in rows), "<f2")
        matrix = data.reshape(len(rows), self._dimensions)
        self._last = rows[-1].seq if rows else since
        self._seqs = np.append(self._seqs[kept], np.array([row.seq for row in rows], np.int64))
        self.ids = np.append(self.ids[kept], fresh)
        self._matrix = np.concatenate([self._matrix[kept], matrix])
        self._shorten()

    def _shorten(self) -> None:
        """Let the oldest go when there are too many."""
        extra = len(self.ids) - self._limit
        if extra > 0:
            self._left_out = int(self._seqs[extra - 1])
            self._seqs, self.ids = self._seqs[extra:].copy(), self.ids[extra:].copy()
            self._matrix = self._matrix[extra:].copy()

    def cosines(
        self, vector: NDArray[np.float32], rows: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """Return the cosine of every row, or of the given ones, in their order."""
        matrix = self._matrix if rows is None else self._matrix[rows]
        found = np.empty(len(matrix), np.float32)
        for start in range(0, len(found), _BLOCK_ROWS):
            block = matrix[start : start + _BLOCK_ROWS].astype(np.float32)
            found[start : start + len(block)] = block @ vector
        return found
