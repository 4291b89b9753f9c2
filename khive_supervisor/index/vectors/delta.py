"""The vectors that are newer than the generation, searched exactly: in memory up to a limit.

What is beyond it, after a mass import or while nobody builds, is read from the store in each
search, up to a second limit: slow, and found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.store.model import VECTOR_COMPONENT_BYTES
from khive_supervisor.store.vectors import VectorRow, VectorStore

#: Vectors newer than the generation that a process keeps: 15 MB at 384 dimensions.
DELTA_LIMIT = 10_000
#: The newest of those beyond it that are read in each search, by their numbers: some 0.1 s.
READ_LIMIT = 40_000
#: Rows that are read from the store at once: 3 MB at 384 dimensions, which fits a cache.
_BLOCK_ROWS = 2048


class Delta:
    """The newest vectors of a model, `limit` of them in memory; kept up to date row by row.

    Dead entries' vectors are in it: whether an entry lives is asked of the store at the end.
    """

    def __init__(
        self, vectors: VectorStore, model_id: str, dimensions: int, limit: int = DELTA_LIMIT
    ) -> None:
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
        self._matrix = np.empty((0, self._dimensions), np.float32)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def complete(self) -> bool:
        """Return True if all newer vectors are searched: in memory, or read for each search."""
        return self._left_out - self._covered <= READ_LIMIT

    @property
    def whole(self) -> bool:
        """Return True if all newer vectors are in memory; false with more than `limit` of them."""
        return self._left_out <= self._covered

    def refresh(self, covered_seq: int) -> None:
        """Hold what is above `covered_seq`; reads only what came since the last time."""
        if covered_seq < self._covered:
            self.reset(covered_seq)
        self._covered = covered_seq
        since = max(self._last, covered_seq)
        rows = self._ours(self._vectors.newest(self._model_id, since, self._limit + 1))
        fresh, matrix = self._unpacked(rows)
        # An entry that was restored comes again under a new number: its old row goes.
        kept = np.flatnonzero((self._seqs > covered_seq) & ~np.isin(self.ids, fresh))
        if len(kept) == len(self.ids) and not rows:
            return
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

    def vectors(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the vectors of rows in memory."""
        return self._matrix[rows]

    def cosines(
        self, vector: NDArray[np.float32], rows: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """Return the cosine of every row in memory, or of the given ones, in their order."""
        whole = rows is None or len(rows) == len(self.ids)
        found: NDArray[np.float32] = (self._matrix if whole else self._matrix[rows]) @ vector
        return found

    def left_out(
        self, vector: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return entries whose newer vectors are not in memory, the newest, and their cosines."""
        ids, cosines = [self.ids[:0]], [np.empty(0, np.float32)]
        after = max(self._covered, self._left_out - READ_LIMIT)
        while after < self._left_out:
            rows = self._vectors.after(self._model_id, after, _BLOCK_ROWS)
            after = rows[-1].seq if rows else self._left_out
            found, matrix = self._unpacked(
                self._ours(row for row in rows if row.seq <= self._left_out)
            )
            ids.append(found)
            cosines.append(matrix @ vector)
        return np.concatenate(ids), np.concatenate(cosines)

    def _ours(self, rows: Iterable[VectorRow]) -> list[VectorRow]:
        """Return the rows of our length."""
        return [row for row in rows if len(row.data) == self._row_bytes]

    def _unpacked(self, rows: Sequence[VectorRow]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        data = np.frombuffer(b"".join(row.data for row in rows), "<f2")
        matrix = data.reshape(len(rows), self._dimensions).astype(np.float32)
        return np.array([row.entry_id for row in rows], np.int64), matrix
