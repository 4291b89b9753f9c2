"""What the bundled model is, without loading it: MODEL.json, which scripts/build_model writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Where the graph, the vocabulary and their description lie.
MODEL_DIRECTORY = Path(__file__).parent / "model"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files and what its users must know of it."""

    model_id: str
    dimensions: int
    #: Word pieces of one text, both markers included; the rest of a text is not read.
    max_pieces: int
    graph: Path
    vocabulary: Path


@cache
def model_files(directory: Path = MODEL_DIRECTORY) -> ModelFiles:
    """The description of the model in a directory; OSError, ValueError, KeyError if damaged."""
    metadata = json.loads((directory / "MODEL.json").read_text(encoding="utf-8"))
    return ModelFiles(
        model_id=metadata["model_id"],
        dimensions=metadata["dimensions"],
        max_pieces=metadata["max_pieces"],
        graph=directory / metadata["graph"]["file"],
        vocabulary=directory / metadata["vocabulary"]["file"],
    )
