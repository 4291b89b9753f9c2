"""What ten results cost a model that reads them: tokens of an answer, beside the form before.

Before, a result repeated its kind and namespace, had its time to the second, why it was there, and
four digits of a score that meant nothing; the text was the same JSON with blanks.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import KnownVectors, engine_of, found, learn_subjects
from benchmarks.search.retrieval import Vectors
from benchmarks.search.short_facts import PROJECTS
from benchmarks.search.subjects import Subject, retrieval_subjects
from khive_supervisor.search.engine import Hit
from khive_supervisor.verbs import answers, forms, result_lines

#: Answers of each set, and characters of a token, about.
ANSWERS, TOKEN, SEED = 20, 4, 5
#: Answers of short facts may be at most so large, beside before.
HALF = 0.5
_SERVED = {"profile": "balanced-recall-v1", "serve": "a1b2c3d4"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of an answer: what is structured, its text, and the contents in either."""

    structured: float
    text: float
    contents: float


def measure(context: Context) -> list[Row]:
    """The row of the answers' sizes: text and structured content, of which a client shows one."""
    facts = Subject("short facts", "facts", [fact for one in PROJECTS for fact, _ in one])
    sets = list(retrieval_subjects(context.retrieval)) if context.retrieval else []
    known = KnownVectors(Vectors(context.work / "quality"))
    learn_subjects(known, sets)
    sizes = {subject.name: _sizes(subject, known) for subject in (facts, *sets)}
    before, after = sizes[facts.name]
    return [
        Row(
            what="tokens of an answer with ten results (characters / 4), text; structured",
            target=f"short facts, both together: at most {HALF:g}x",
            khive="; ".join(f"{name} {_show(one)}" for name, (_, one) in sizes.items()),
            peers=("before: " + "; ".join(f"{n} {_show(one)}" for n, (one, _) in sizes.items()),),
            met=after.text + after.structured <= HALF * (before.text + before.structured),
            notes=tuple(
                f"{name}: {one.contents:.0f} of them are the contents, which are the same"
                for name, (_, one) in sizes.items()
            ),
            data={name: [vars_of(one) for one in pair] for name, pair in sizes.items()},
        )
    ]


def vars_of(sizes: Sizes) -> Mapping[str, float]:
    """Return the sizes by name."""
    return {"structured": sizes.structured, "text": sizes.text, "contents": sizes.contents}


def _show(sizes: Sizes) -> str:
    return f"{sizes.text:.0f}; {sizes.structured:.0f}"


def _sizes(subject: Subject, known: KnownVectors) -> tuple[Sizes, Sizes]:
    """Return the mean sizes before and now."""
    with engine_of(subject.texts, known) as (engine, _):
        texts = random.Random(SEED).sample(list(subject.texts), ANSWERS)
        shown = [found(engine, " ".join(text.split()[:8])) for text in texts]
    return _mean([_before(hits) for hits in shown]), _mean([_now(hits) for hits in shown])


def _mean(sizes: Sequence[Sizes]) -> Sizes:
    count = len(sizes)
    return Sizes(
        sum(one.structured for one in sizes) / count,
        sum(one.text for one in sizes) / count,
        sum(one.contents for one in sizes) / count,
    )


def _before(hits: Sequence[Hit]) -> Sizes:
    results = [
        {**forms.show(hit.entry, answers.DEFAULT_CHARACTERS), "score": round(hit.score, 4),
         "why": hit.why}
        for hit in hits
    ]  # fmt: skip
    answer = {"results": results, "served_by": _SERVED}
    return _measured(answer, json.dumps(answer, ensure_ascii=False), hits)


def _now(hits: Sequence[Hit]) -> Sizes:
    results = [answers.show_result(hit, answers.DEFAULT_CHARACTERS) for hit in hits]
    answer = {"results": results, "served_by": {"serve": _SERVED["serve"]}}
    return _measured(answer, result_lines.found_text(answer), hits)


def _measured(answer: Mapping[str, object], text: str, hits: Sequence[Hit]) -> Sizes:
    structured = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    contents = sum(len(hit.entry.content[: answers.DEFAULT_CHARACTERS]) for hit in hits)
    return Sizes(len(structured) / TOKEN, len(text) / TOKEN, contents / TOKEN)
