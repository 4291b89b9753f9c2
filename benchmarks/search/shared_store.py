"""All sets in one store, a namespace each: what others have stored must not move what is found."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.retrieval import (
    Memory,
    SetQuality,
    Vectors,
    searched,
    set_quality,
)
from benchmarks.search.subjects import (
    Subject,
    coding_subject,
    docstring_subject,
    retrieval_subjects,
)
from khive_supervisor.search.engine import embedded_part
from khive_supervisor.verbs.ingest import TURN_BEFORE


def subjects(retrieval: Path, coding: Path | None) -> list[Subject]:
    """Return all sets there are here, graded as relevant or not."""
    decisions = [coding_subject(coding)] if coding is not None else []
    return [*retrieval_subjects(retrieval), docstring_subject(), *decisions]


def measure_turns(file: Path, vectors: Vectors) -> Iterator[SetQuality]:
    """Yield the quality of conversations whose turns are asked for.

    The file is JSON: {name: {"documents": [[turn, ...], ...], "questions": [{"text", "relevant":
    [[document, turn], ...]}]}}. Turns are stored as a conversation that is learned.
    """
    for name, one in json.loads(file.read_text("utf-8")).items():
        starts = [0, *accumulate(len(turns) for turns in one["documents"])]
        turns = [turn for document in one["documents"] for turn in document]
        with tempfile.TemporaryDirectory() as directory:
            memory = Memory(directory)
            memory.add(turns, _with_turn_before(vectors.of(turns), starts))
            asked = vectors.of([embedded_part(question["text"]) for question in one["questions"]])
            rows = [
                searched(
                    memory,
                    question["text"],
                    vector,
                    {starts[document] + turn: 1.0 for document, turn in question["relevant"]},
                )
                for question, vector in zip(one["questions"], asked, strict=True)
            ]
            memory.close()
        yield set_quality(name, rows)


def _with_turn_before(own: NDArray[np.float32], starts: Sequence[int]) -> NDArray[np.float32]:
    """Return the vectors of turns as `learn` stores them; documents begin at `starts`."""
    follows = np.setdiff1d(np.arange(1, len(own)), starts)
    mixed = own.copy()
    mixed[follows] += np.float32(TURN_BEFORE) * own[follows - 1]
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    return mixed / np.maximum(lengths, np.float32(1e-9))


def measure_shared(sets: Sequence[Subject], vectors: Vectors) -> Iterator[SetQuality]:
    """Yield the quality of each set in the store of all."""
    with tempfile.TemporaryDirectory() as directory:
        memory, first = Memory(directory), 0
        starts = []
        for one in sets:
            memory.add(one.texts, vectors.of(one.texts), one.name)
            starts.append(first)
            first += len(one.texts)
        for one, start in zip(sets, starts, strict=True):
            asked = vectors.of([embedded_part(question.text) for question in one.questions])
            rows = [
                searched(
                    memory,
                    question.text,
                    vector,
                    {start + place: 1.0 for place in question.relevant},
                    one.name,
                )
                for question, vector in zip(one.questions, asked, strict=True)
            ]
            yield set_quality(one.name, rows)
        memory.close()
