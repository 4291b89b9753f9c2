"""All sets in one store, a namespace each: what others have stored must not move what is found."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

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


def subjects(retrieval: Path, coding: Path | None) -> list[Subject]:
    """Return all sets there are here, graded as relevant or not."""
    decisions = [coding_subject(coding)] if coding is not None else []
    return [*retrieval_subjects(retrieval), docstring_subject(), *decisions]


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
