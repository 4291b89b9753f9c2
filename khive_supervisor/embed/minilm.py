"""The bundled model, run in the calling process: all-MiniLM-L6-v2 in int8 on onnxruntime.

The graph takes the word pieces of one text, int64 (1, pieces), and gives its unit vector, float32
(1, 384). A text of which the model knows too little gets zeros instead. One text a run, because the
graph quantises its activations by the largest value in the run: in a batch, a text's vector would
depend on its neighbours (cosine between alone and in a batch: down to 0.978). So equal texts have
equal vectors, nothing is padded, and the order of the texts does not matter for speed. Batches
would be at most a tenth faster; several threads each run their own text instead.

A process that has an inference session open must never fork.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from khive_supervisor.embed.base import TEXT_LIMIT, Vectors
from khive_supervisor.embed.bundled import MODEL_DIRECTORY, model_files
from khive_supervisor.embed.wordpiece import WordPiece, read_vocabulary
from khive_supervisor.errors import BootFailure


class MiniLM:
    """An Embedder that computes here; see `khive_supervisor.embed.base.Embedder`.

    `threads` texts are computed at the same time. Loading takes about 70 ms and 60 MB. Threads
    may share one instance. Raises BootFailure when the model's files cannot be loaded.
    """

    def __init__(self, threads: int = 1, directory: Path = MODEL_DIRECTORY) -> None:
        try:
            model = model_files(directory)
            self._tokenizer = WordPiece(read_vocabulary(model.vocabulary))
            self._session = _open_session(model.graph)
        except Exception as error:  # onnxruntime's errors share no root below Exception
            raise BootFailure(
                f"The embedding model in {directory} cannot be loaded: {error}",
                hint="Install khive-supervisor again; its package data is damaged.",
            ) from error
        self.model_id = model.model_id
        self.dimensions = model.dimensions
        self._max_pieces = model.max_pieces
        self._pool = ThreadPoolExecutor(threads, "minilm") if threads > 1 else None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of the texts; see `Embedder.embed`."""
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        each = map if self._pool is None or len(texts) < 2 else self._pool.map
        for row, vector in enumerate(each(self.embed_one, texts)):
            vectors[row] = vector
        return vectors

    def embed_one(self, text: str) -> Vectors:
        """Return the vector of one text, float32 (dimensions,), computed in the calling thread."""
        text = text[:TEXT_LIMIT]
        ids = self._tokenizer.encode(text, self._max_pieces)
        if self._tokenizer.has_unknown(ids) and not self._tokenizer.knows(text, self._max_pieces):
            return np.zeros(self.dimensions, np.float32)
        vector: Vectors = self._session.run(None, {"ids": np.array([ids], np.int64)})[0][0]
        return vector


def _open_session(graph: Path) -> Any:
    # From 1.29 on the library reports to its maker and leaves an id below HOME as it is imported;
    # nothing of a memory leaves the machine, and HOME is not ours to write to.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Imported here: it costs 100 ms and 30 MB, which only a process that computes should pay.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; warnings about the host's hardware help nobody
    # Waiting threads sleep: spinning would burn the cores of everybody else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
