"""When a new generation is due, and how it is built from the store's vectors."""

from __future__ import annotations

import enum
import os
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError, StoreUnavailable
from khive_supervisor.index.inverted import collect, postings_file
from khive_supervisor.index.vectors import sketch, slots
from khive_supervisor.index.vectors.delta import DELTA_LIMIT
from khive_supervisor.index.vectors.generation import Generations, file_name, put
from khive_supervisor.index.vectors.layout import METRIC, checksum, fingerprint, node_bytes, nodes
from khive_supervisor.store.interface import Store
from khive_supervisor.store.vectors import DENSE, Generation, VectorStats

#: Trees when the configuration does not say; see `hits.SEARCH_K` for what they find. More add
#: little: 80 trees find 0.5 % more and take 55 MB more for 100,000 vectors.
TREES = 50
#: Vectors read from the store at once: 0.8 MB at 384 dimensions, in a transaction of 10 ms.
_CHUNK = 1000
#: The same vectors give the same trees.
_SEED = 20
#: Items whose vectors are compared with the file's bytes.
_COMPARED = 256
#: Parts of the index that may belong to dead entries before it is built anew: they cost room, and
#: searches have to look past them.
_DEAD_SHARE = 0.2
#: Slots for each item from which on a file of the older form is mostly holes.
_SPARSE = 2


class BuildReason(enum.StrEnum):
    """Why the builder should run."""

    DAMAGED = "damaged"
    MISSING_VECTORS = "missing_vectors"
    FIRST = "first"
    GROWN = "grown"
    SHRUNK = "shrunk"
    SPARSE = "sparse"
    MODEL_CHANGED = "model_changed"


def decide(
    vectors: VectorStats,
    generation: Generation | None,
    *,
    share: float = 0.05,
    minimum: int = 1000,
    damaged: bool = False,
) -> BuildReason | None:
    """Return True if the builder has something to do for the model of `vectors`, and what; pure.

    `generation` is the model's current one. A build is due when the vectors that are not in it
    are at least `minimum` and more than `share` of all, or than readers keep in memory; below that
    they are searched exactly in no time. Missing vectors and those of another model are the
    builder's work too.
    """
    if damaged and vectors.vectors:
        return BuildReason.DAMAGED
    if vectors.missing:
        return BuildReason.MISSING_VECTORS
    due = due_to_build(vectors, generation, share=share, minimum=minimum)
    if due is None and vectors.other_models:
        return BuildReason.MODEL_CHANGED
    return due


def due_to_build(
    vectors: VectorStats, generation: Generation | None, *, share: float, minimum: int
) -> BuildReason | None:
    """Return True if a new file is due for the vectors that there are; pure."""
    if generation is None:
        return BuildReason.FIRST if vectors.vectors >= minimum else None
    bar = min(share * vectors.vectors, DELTA_LIMIT)
    if vectors.newer >= minimum and vectors.newer > bar:
        return BuildReason.GROWN
    dead = generation.items - (vectors.vectors - vectors.newer)
    if vectors.vectors and dead >= minimum and dead > _DEAD_SHARE * generation.items:
        return BuildReason.SHRUNK
    if generation.slots > max(minimum, _SPARSE * generation.items):
        return BuildReason.SPARSE
    return None


def build(
    store: Store,
    generations: Generations,
    model_id: str,
    dimensions: int,
    *,
    trees: int = TREES,
    clock: Callable[[], float] = time.time,
) -> Generation | None:
    """Build and publish a generation of all live entries' vectors; None if there are none.

    Only for the holder of the builder's lock. Reads in short transactions: what is written
    meanwhile is not in it, and has a sequence number above `covered_seq`.

    Raises:
        StoreUnavailable: no room for the file.
        IndexFileError: what was written is not what was built; nothing was published.
    """
    generations.prepare()
    number = store.generations.next_number()
    path = generations.temporary(number)
    covered = store.vectors.last_seq(model_id)
    annoy = AnnoyIndex(dimensions, METRIC)
    annoy.set_seed(_SEED)
    ids = _fill(annoy, store, model_id, dimensions, covered)
    if not len(ids):
        return None
    if len(ids) == 1:  # twice: there are two slots at least
        annoy.add_item(1, annoy.get_item_vector(0))
    _make_room(generations.directory, annoy.get_n_items(), trees, dimensions)
    annoy.build(trees, 1)
    with _no_room(path):
        annoy.save(path)
    row = _describe(annoy, path, number, model_id, dimensions, ids, covered, clock())
    annoy.unload()
    _write_slots(generations, row, ids)
    if row.direct and sketch.worth_it(row.slots, dimensions):
        _write_sketch(generations, row, path)
    _write_postings(generations, row, store)
    generations.publish(store.generations, row)
    return row


def _write_slots(generations: Generations, row: Generation, ids: NDArray[np.int64]) -> None:
    """Say beside the file that is about to be published whose its vectors are."""
    final = generations.slots(row)
    temporary = final + ".tmp"
    with _no_room(temporary):
        slots.write(temporary, row, np.resize(ids, row.slots))
    put(temporary, final)


def _write_sketch(generations: Generations, row: Generation, path: str) -> None:
    """Put the sketch beside the file that is about to be published."""
    final = generations.sketch(row)
    temporary = final + ".tmp"
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        items = nodes(descriptor, row.dimensions)[: row.slots]
        with _no_room(temporary):
            sketch.write(temporary, row, items["vector"], np.arange(row.slots))
    finally:
        os.close(descriptor)
    put(temporary, final)


def _write_postings(generations: Generations, row: Generation, store: Store) -> None:
    """Put the inverted index beside the file that is about to be published."""
    final = generations.postings(row)
    temporary = final + ".tmp"
    description, arrays = collect.collect(store)
    with _no_room(temporary):
        postings_file.write(temporary, row, description, arrays)
    put(temporary, final)


@contextmanager
def _no_room(path: str) -> Iterator[None]:
    """An error of the system while a file is written, as what to do about it."""
    try:
        yield
    except Exception as error:  # annoy raises the root class with the system's words
        raise StoreUnavailable(
            f"The index file {path} cannot be written: {error}.",
            hint="Make room; until then the present index serves.",
        ) from error


def _fill(
    annoy: AnnoyIndex, store: Store, model_id: str, dimensions: int, covered: int
) -> NDArray[np.int64]:
    """Add the live vectors up to a sequence number; return whose they are, by slot."""
    ids = array("q")
    seq = 0
    while rows := store.vectors.live_after(model_id, seq, _CHUNK):
        seq = rows[-1].seq
        for row in rows:
            if row.seq > covered:
                return np.array(ids, np.int64)
            annoy.add_item(len(ids), _unit(row.data, dimensions))
            ids.append(row.entry_id)
    return np.array(ids, np.int64)


def _unit(data: bytes, dimensions: int) -> NDArray[np.float32]:
    vector = np.frombuffer(data, "<f2").astype(np.float32)
    if len(vector) != dimensions:
        raise IndexFileError(
            f"The store has vectors of {len(vector)} numbers where {dimensions} are expected.",
            hint="The model's dimensions have changed: give it another name.",
        )
    length = np.float32(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def _make_room(directory: str, item_slots: int, trees: int, dimensions: int) -> None:
    """Refuse to begin what cannot end: a node for every item, and two for every full leaf."""
    leaf = dimensions + 2
    needed = (item_slots + trees * (4 * item_slots // leaf + 2)) * node_bytes(dimensions)
    found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if free < needed:
        raise StoreUnavailable(
            f"The next index may need {needed // 2**20} MB, and {directory} has "
            f"{free // 2**20} MB left.",
            hint="Make room; until then the present index serves.",
        )


def _describe(
    annoy: AnnoyIndex, path: str, number: int, model_id: str, dimensions: int,
    ids: NDArray[np.int64], covered: int, now: float,
) -> Generation:  # fmt: skip
    """Return the row of the file that was just written."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return Generation(
            generation=number,
            model_id=model_id,
            file=file_name(number),
            sha256=checksum(descriptor),
            fingerprint=fingerprint(descriptor),
            bytes=os.fstat(descriptor).st_size,
            dimensions=dimensions,
            metric=DENSE,
            items=len(ids),
            trees=annoy.get_n_trees(),
            covered_seq=covered,
            max_entry_id=int(ids.max()),
            direct=_reads_directly(annoy, descriptor, dimensions),
            created_at=now,
        )
    finally:
        os.close(descriptor)


def _reads_directly(annoy: AnnoyIndex, descriptor: int, dimensions: int) -> bool:
    """Return True if the vectors lie in the file where `layout` says; compared for some items."""
    count = annoy.get_n_items()
    view = nodes(descriptor, dimensions)
    compared = {count - 1, *range(0, count, max(count // _COMPARED, 1))}
    return all(
        np.array_equal(view[item]["vector"], np.array(annoy.get_item_vector(item), np.float32))
        for item in compared
    )
