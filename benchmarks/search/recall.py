"""How much of the truth the index finds, and how fast, compared with exact search."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.report import Row, Sample
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter

#: The share of the true ten nearest that must be found.
TARGET = 0.95
NEAREST = 10
QUERIES = 400
#: Cosines closer than this count as equal: the store keeps vectors in half precision.
EQUAL = 1e-4
#: What a search of learned documents asks of the index.
IN_SESSION = EntryFilter(collection="knowledge", namespaces=("default",))


def measure(context: Context) -> list[Row]:
    """The row of recall."""
    model = MiniLM()
    count = context.times(QUERIES)
    typed = model.embed(context.queries(count))
    every = max(len(context.material.texts) // count, 1)
    titles = model.embed([text.title for text in context.material.texts[::every]][:count])
    candidates = Config().search.candidates
    with installed(context.work, context.prepared) as khive:
        store = SqliteStore(str(khive.store))
        index = VectorIndex(store, model.model_id, model.dimensions)
        exact, exact_time = _exact(context, typed)
        alone, alone_time = _recall(context, index, typed, exact, NEAREST, EVERYTHING)
        within, within_time = _recall(context, index, typed, exact, candidates, IN_SESSION)
        near, _ = _recall(context, index, titles, _exact(context, titles)[0], NEAREST, EVERYTHING)
        index.close()
        store.close()
    return [
        Row(
            what=f"recall@{NEAREST} of the index against exact search, "
            f"{len(context.material.texts)} vectors, default search_k",
            target=f">= {TARGET}",
            khive=f"{alone:.3f} in {alone_time.show('ms', 50)}; as a session asks "
            f"({candidates} candidates, filtered): {within:.3f} in {within_time.show('ms', 50)}; "
            f"titles as queries: {near:.3f}",
            peers=(f"exact search: 1.0 in {exact_time.show('ms', 50)}",),
            met=min(alone, within, near) >= TARGET,
            notes=(
                (
                    "Queries that people typed, which are no entries and far from most of them, "
                    "and titles of entries, which are near. The index alone, without the query's "
                    "embedding."
                ),
            ),
            data={
                "recall": alone,
                "recall_in_session": within,
                "recall_titles": near,
                "index": alone_time.as_dict(),
                "index_in_session": within_time.as_dict(),
                "exact": exact_time.as_dict(),
            },
        )
    ]


def _exact(context: Context, asked: NDArray[np.float32]) -> tuple[NDArray[np.float32], Sample]:
    """The cosine of each query's tenth nearest; and the time of an exact search."""
    whole = context.material.vectors.astype(np.float32)
    tenth, times = [], []
    for vector in asked:
        began = time.perf_counter()
        cosines = whole @ vector
        best = np.partition(cosines, -NEAREST)[-NEAREST:]
        times.append((time.perf_counter() - began) * 1000)
        tenth.append(best.min())
    return np.array(tenth, np.float32), Sample(tuple(times))


def _recall(
    context: Context,
    index: VectorIndex,
    asked: NDArray[np.float32],
    tenth: NDArray[np.float32],
    limit: int,
    where: EntryFilter,
) -> tuple[float, Sample]:
    """The mean share of the ten nearest among the first ten found; ties count as found."""
    rows = {number: row for row, number in enumerate(context.prepared.ids)}
    index.search(asked[0], limit, where)
    good, times = 0, []
    for vector, least in zip(asked, tenth, strict=True):
        began = time.perf_counter()
        found = index.search(vector, limit, where)
        times.append((time.perf_counter() - began) * 1000)
        place = [rows[number] for number, _ in found[:NEAREST]]
        cosines = context.material.vectors[place].astype(np.float32) @ vector
        good += int((cosines >= least - EQUAL).sum())
    return good / (len(asked) * NEAREST), Sample(tuple(times))
