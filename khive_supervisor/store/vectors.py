"""The facets for vectors and for generations: what the embedder made, and which index to trust."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

#: What the metric of a generation says: the form in which slots have no holes. A release that does
#: not know it does not map the file.
DENSE = "angular, dense"


@dataclass(frozen=True, slots=True)
class Generation:
    """One immutable index file, and all that is needed to trust it before it is mapped.

    `file` is a name inside the index directory; `sha256` and `fingerprint` are hexadecimal, of the
    whole file and of a sample of its bytes; `items` counts the vectors in it, of entries up to
    `max_entry_id`; the vectors with a sequence number above `covered_seq` are not in it. `metric`
    names the form, too: of DENSE, slots are numbered without holes, and a file beside it says whose
    they are; of the older one, slots are entry ids. `direct` says that the builder saw the vectors
    at the offsets that `index.vectors.layout` computes, so that a reader may take them from the
    file without Annoy.
    """

    generation: int
    model_id: str
    file: str
    sha256: str
    fingerprint: str
    bytes: int
    dimensions: int
    metric: str
    items: int
    trees: int
    covered_seq: int
    max_entry_id: int
    direct: bool
    created_at: float
    current: bool = True

    @property
    def dense(self) -> bool:
        """Return True if slots have no holes."""
        return self.metric == DENSE

    @property
    def slots(self) -> int:
        """Return how many slots the file has, those without a vector too.

        Two at least: of one item, Annoy cannot tell the tree from the item.
        """
        return max(self.items, 2) if self.dense else self.max_entry_id + 1


@dataclass(frozen=True, slots=True)
class VectorRow:
    """A stored vector: its sequence number, whose it is, and its bytes."""

    seq: int
    entry_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Fate:
    """An entry died, or came back: whether it lives since then, and the number of that time."""

    seq: int
    entry_id: int
    live: bool


@dataclass(frozen=True, slots=True)
class MissingVector:
    """A live entry that has no vector of a model yet, with the text to embed."""

    entry_id: int
    title: str
    content: str

    @property
    def text(self) -> str:
        """Return what the embedder is given, of a new entry and in a rebuild."""
        return f"{self.title}\n{self.content}"


@dataclass(frozen=True, slots=True)
class VectorStats:
    """How far the vectors of one model cover the live entries.

    `vectors`: stored ones of live entries, of which `newer` are not in the current generation;
    `missing`: live entries without; `last_seq`: the highest sequence number of the model (0:
    none); `other_models`: vectors of other models.
    """

    model_id: str
    vectors: int
    newer: int
    missing: int
    last_seq: int
    other_models: int


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
