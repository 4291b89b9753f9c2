"""What every embedder is, wherever its vectors are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import EmbedderUnavailable

#: Rows of unit vectors: float32, shape (texts, dimensions).
Vectors = NDArray[np.float32]

#: Characters of a text that any embedder looks at; the rest is never sent or read. Far more than
#: the bundled model takes (256 word pieces, about 180 English words).
TEXT_LIMIT = 32_768


class Embedder(Protocol):
    """Texts to unit vectors whose inner product is their likeness (cosine, -1 to 1).

    Vectors of two models never meet: `model_id` is stored with each.
    """

    @property
    def model_id(self) -> str:
        """Return what names the vector space; equal ids mean comparable vectors."""

    @property
    def dimensions(self) -> int:
        """Return how many numbers a vector has."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, in order: float32, shape (len(texts), dimensions).

        A text that says nothing to the model has a row of zeros: it is near to nothing. Otherwise
        all texts of a script that the model has never seen would have one vector, and be equal.
        Only the beginning of a long text counts: TEXT_LIMIT characters, and of them what the model
        takes (the bundled one: 256 word pieces). Any text is allowed, the empty one too.

        Raises:
            EmbedderUnavailable: no vectors can be had now.
        """


class EmbedderBusy(EmbedderUnavailable):
    """The embedder has as much waiting as it accepts; nothing of this request was computed."""

    code = "embedder_busy"


def has_words(text: str) -> bool:
    """Return True if a text has a letter or digit; signs alone have no meaning for any model."""
    return any(map(str.isalnum, text))


def unit_rows(vectors: Vectors) -> Vectors:
    """Return every row scaled to length one; a row of zeros stays as it is."""
    # In float64, where no float32 squared overflows.
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled
