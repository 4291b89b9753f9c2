"""The facets for vectors and for generations: what the embedder made, and which index to trust."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from khive_supervisor.store.model import Generation, MissingVector, VectorRow, VectorStats


class VectorStore(Protocol):
    """Vectors by entry and model, opaque but for their length: equal for all of a model.

    Each has a sequence number, above all before it of every model.
    """

    def put(self, model_id: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        """Store vectors of entries (id, float16 bytes); return how many were stored.

        An entry that has one already, or that no longer exists, is passed over: the call can be
        repeated. `InvalidInput` if a length is not the model's.
        """
        ...

    def after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """Return the next vectors of a model above a number, in order; dead entries' too."""
        ...

    def newest(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """Return the last `limit` vectors of a model above a number, in order."""
        ...

    def live_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """Return the next vectors of a model above a number, in order; of live entries only."""
        ...

    def of(self, model_id: str, ids: Iterable[int]) -> list[VectorRow]:
        """Return the vectors of these entries, in no particular order."""
        ...

    def missing(self, model_id: str, limit: int, after_id: int = 0) -> list[MissingVector]:
        """Return the next live entries above `after_id` without a vector of the model, by id."""
        ...

    def drop_except(self, model_id: str, limit: int = 2000) -> int:
        """Remove up to `limit` vectors of other models; return how many went (0: none is left)."""
        ...

    def stats(self, model_id: str) -> VectorStats:
        """Return how far the model covers the live entries; reads what is newer than the index."""
        ...

    def recount(self) -> bool:
        """Count entries and vectors anew; return True if what had been kept was wrong."""
        ...

    def last_seq(self, model_id: str) -> int:
        """Return the highest sequence number of the model's vectors, 0 without any; cheap."""
        ...


class GenerationStore(Protocol):
    """The index generations' rows; the files are in `index/` beside the store."""

    def current(self, model_id: str) -> Generation | None:
        """Return the generation that serves the model, or None."""
        ...

    def all(self) -> list[Generation]:
        """Return all generations, oldest first."""
        ...

    def next_number(self) -> int:
        """Return the number that the next generation has to take.

        The builder's lock reserves it.
        """
        ...

    def publish(self, generation: Generation) -> None:
        """Make it the current one of its model, in one transaction; the one before retires.

        `StoreError` if the number is taken.
        """
        ...

    def retire_except(self, model_id: str) -> int:
        """Retire other models' generations, after a change of model; return how many."""
        ...

    def remove(self, generation: int) -> bool:
        """Forget a retired generation whose file is gone; return whether there was one."""
        ...
