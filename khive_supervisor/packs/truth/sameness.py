"""The subjects that short texts are compared by, where the model is the bundled one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from khive_supervisor.embed.base import Embedder
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.truth import sameness
from khive_supervisor.truth.reading import Reading
from khive_supervisor.truth.sameness import Matrix

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
