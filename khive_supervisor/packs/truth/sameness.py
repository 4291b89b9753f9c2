"""What texts are compared by: the subjects of short ones, and what words are worth of any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from khive_supervisor.embed.base import Embedder
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.search.fit import word_weight
from khive_supervisor.truth import sameness
from khive_supervisor.truth.amending import Worth
from khive_supervisor.truth.reading import Reading
from khive_supervisor.truth.sameness import Matrix
from khive_supervisor.verbs.context import Context

#: Vectors of the subjects, as `benchmarks.truth.learn_sameness` writes them.
SUBJECTS = Path(__file__).parent / "subjects.npy"


def subjects_of(embedder: Embedder | None) -> Matrix | None:
    """Return the subjects' vectors, float32 rows; None for other models than the bundled one."""
    if embedder is None or embedder.model_id != model_files().model_id:
        return None
    return _subjects()


@cache
def _subjects() -> Matrix:
    return np.asarray(np.load(SUBJECTS, allow_pickle=False), np.float32)


def likely(
    new: Reading, earlier: Sequence[Reading], vectors: Matrix, subjects: Matrix
) -> list[int]:
    """Return the places of those earlier texts that may be about what a new one is about.

    The likeliest first. `vectors` are those of the earlier texts and, last, of the new one.
    """
    found = sameness.logits(new, earlier, vectors, subjects)
    return [int(at) for at in np.argsort(-found, kind="stable") if found[at] > 0.0]


def worth_here(context: Context) -> Worth:
    """Return what words are worth by how many entries of the store have them.

    The store is asked when the first texts are compared; each word is looked up once.
    """
    store = context.whole_store
    return worth_of(store.full_text.document_frequencies, store.entries.highest_id)


def worth_of(
    frequencies: Callable[[Collection[str]], Mapping[str, int]], entries: Callable[[], int]
) -> Worth:
    """Return what words are worth; `frequencies` tells how many of the entries have each."""
    known: dict[str, float] = {}

    def worth(words: Collection[str]) -> Mapping[str, float]:
        fresh = [one for one in words if one not in known]
        if fresh:
            found, count = frequencies(fresh), entries()
            known.update((one, word_weight(found.get(one, 0), count)) for one in fresh)
        return known

    return worth
