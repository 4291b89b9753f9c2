"""Learn the weights of `khive_supervisor/truth/answering.py`, and say what they are worth unseen.

    python -m benchmarks.truth.learn_answering [--retrieval FILE]

A logistic regression over pairs of the first result and a newer one just behind it. The material is
in `notice/`: pairs of which the newer one says otherwise, and a question (`otherwise.txt`); pairs
that are alike and both hold, and a question for the older one (`compatible.txt`, `alike.txt`); and
facts of ten projects, each with a question. What judges is none of it.

What is printed first is honest: each half of the pairs is judged by what the other one taught. What
is printed last goes into `answering.py`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.short_facts import PROJECTS
from benchmarks.search.subjects import retrieval_subjects
from benchmarks.truth import logistic
from benchmarks.truth.contradictions import Memory
from benchmarks.truth.learn_sameness import lines_of
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs.truth import agreement, newer_first
from khive_supervisor.redaction import detection
from khive_supervisor.search.results import Hit
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.truth import answering

#: What an error counts where neither of the two was asked for; how strongly weights are held back.
ELSEWHERE, RIDGE, STEPS = 0.15, 2.0, 40
#: Added to what is learned: how many more are settled for one that is asked for and not first.
BOLDER = 0.25
#: Texts and questions of a real set, and the seed.
TEXTS, QUESTIONS, SEED = 900, 250, 7

#: The features that are learned from, in their order.
NAMES = (
    "constant", "older_stands_out", "newer_stands_out", "coverage", "more_coverage", "further",
    "words", "changes", "read", "rivals", "first", "named",
)  # fmt: skip

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: the older text, the newer one that says otherwise ("" if there is none)."""

    kind: str
    older: str
    newer: str
    query: str
    relevant: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the texts in their order, which of them have a mark, and the candidates."""

    asked: Asked
    texts: Sequence[str]
    marked: frozenset[str]
    places: Sequence[int]
    features: Floats

    def ordered(self, weights: Floats) -> list[str]:
        """Return the texts with the likeliest newer one first, if there is one."""
        logits = self.features @ weights if len(self.places) else np.zeros(1)
        texts = list(self.texts)
        if self.places and logits.max() > 0.0:
            texts.insert(0, texts.pop(self.places[int(logits.argmax())]))
        return texts

    def is_right(self, texts: Sequence[str]) -> bool:
        """Return True if an order of the texts is as it should be."""
        older, newer = self.asked.older, self.asked.newer
        if not newer:
            return list(texts[:1]) == [older]
        if older in self.marked or older not in texts:
            return True
        return newer in texts and texts.index(newer) < texts.index(older)


def answers(texts: Sequence[str], asked: Sequence[Asked], model: MiniLM) -> Iterator[Answer]:
    """Store texts, one after another, and ask."""
    with tempfile.TemporaryDirectory() as place:
        memory = Memory(Path(place) / "store", model)
        for text in texts:
            memory.remember(text)
        for one in asked:
            hits = memory.context.search.search(
                one.query, EntryFilter(), limit=10, now=memory.now
            ).hits
            yield _answer(memory, one, hits)


def _answer(memory: Memory, asked: Asked, hits: Sequence[Hit]) -> Answer:
    _, marks = agreement.arranged(memory.context, hits)
    _, cosines, readings = agreement.known_of(memory.context, hits)
    found = [*newer_first.candidates(hits, cosines, readings)]
    known = [answering.features(one.newer, one.older, one.alike, one.place) for one in found]
    return Answer(
        asked,
        [hit.entry.content for hit in hits],
        frozenset(hit.entry.content for hit in hits if hit.entry.id in marks),
        [one.place for one in found],
        np.array([[one[name] for name in NAMES] for one in known]).reshape(-1, len(NAMES)),
    )


def half_of(half: int) -> tuple[list[Asked], list[Asked]]:
    """Return every other one of the pairs that contradict each other, and that both hold."""
    changed = [
        Asked("otherwise", old, new, query) for _, old, new, query in lines_of("otherwise")[half::2]
    ]
    alike = [*lines_of("compatible"), *lines_of("alike")][half::2]
    return changed, [Asked("both hold", one, other, query) for one, other, query in alike]


def gathered(half: int, model: MiniLM) -> list[Answer]:
    """Return the answers of stores of a half: each kind by itself, and all together."""
    changed, both = half_of(half)
    mixed = [*changed, *both]
    random.Random(half).shuffle(mixed)
    found = []
    for pairs in (changed[:84], changed[84:], both, mixed):
        texts = [text for one in pairs for text in (one.older, one.newer)]
        asked = [
            Asked(one.kind, one.older, one.newer if one.kind == "otherwise" else "", one.query)
            for one in pairs
        ]
        found += answers(texts, asked, model)
    projects = [*PROJECTS[half::2]]
    for facts in (*projects, [one for some in projects for one in some]):
        asked = [Asked("facts", fact, "", question) for fact, question in facts]
        for texts in ([fact for fact, _ in facts], [fact for fact, _ in facts][::-1]):
            found += answers(texts, asked, model)
    return found


def learned(some: Sequence[Answer]) -> Floats:
    """Return the weights that tell which newer text has taken the place of the first."""
    rows, hits, counts = [], [], []
    for one in some:
        for place, row in zip(one.places, one.features, strict=True):
            first, newer = one.texts[0], one.texts[place]
            pair = (one.asked.older, one.asked.newer)
            right = bool(one.asked.newer) and (first, newer) == pair
            if not right and one.asked.newer and newer in pair:
                continue  # what was asked for comes before a stranger: no harm
            rows.append(row)
            hits.append(float(right))
            counts.append(1.0 if right or first in pair else ELSEWHERE)
    weights = logistic.learned(
        np.array(rows), np.array(hits), np.array(counts), ridge=RIDGE, steps=STEPS
    )
    weights[0] += BOLDER
    return weights


def counted(some: Sequence[Answer], weights: Floats) -> Mapping[str, Counter[str]]:
    """Return by kind how many are asked, and right before and after."""
    return logistic.tallied(
        (one.asked.kind, one.is_right(one.texts), one.is_right(one.ordered(weights)))
        for one in some
    )


def real(file: Path, model: MiniLM) -> Iterator[tuple[str, list[Answer]]]:
    """Yield the answers to questions of real sets, of which no text takes another one's place."""
    for subject in retrieval_subjects(file):
        draw = random.Random(SEED)
        questions = draw.sample(subject.questions, min(QUESTIONS, len(subject.questions)))
        asked = [
            Asked(
                subject.name, "", "", one.text, frozenset(subject.texts[at] for at in one.relevant)
            )
            for one in questions
        ]
        wanted = {text for one in asked for text in one.relevant}
        more = draw.sample(subject.texts, min(TEXTS, len(subject.texts)))
        texts = [one for one in {*wanted, *more} if one.strip() and not detection.find(one)]
        draw.shuffle(texts := sorted(texts))
        yield subject.name, [*answers(texts, asked, model)]


def gain(texts: Sequence[str], relevant: frozenset[str]) -> float:
    """Return nDCG@10."""
    places = [at for at, text in enumerate(texts[:10]) if text in relevant]
    best = sum(1.0 / np.log2(at + 2) for at in range(min(10, len(relevant))))
    return float(sum(1.0 / np.log2(at + 2) for at in places) / best) if best else 0.0


def main() -> None:
    """Learn, and print what it is worth and the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--retrieval", type=Path, metavar="FILE")
    options = parser.parse_args()
    model = MiniLM()
    halves = [gathered(half, model) for half in (0, 1)]
    total: dict[str, Counter[str]] = {}
    for taught, judged in (halves, halves[::-1]):
        for kind, known in counted(judged, learned(taught)).items():
            total[kind] = total.get(kind, Counter()) + known
    for kind, known in total.items():
        print(f"{kind}: right {known['before']} -> {known['after']} of {known['asked']}")
    weights = learned([*halves[0], *halves[1]])
    for name, some in real(options.retrieval, model) if options.retrieval else ():
        before = 100 * np.mean([gain(one.texts, one.asked.relevant) for one in some])
        after = 100 * np.mean([gain(one.ordered(weights), one.asked.relevant) for one in some])
        print(f"{name}: nDCG@10 {before:.2f} -> {after:.2f}")
    for name, weight in zip(NAMES, weights, strict=True):
        print(f'        "{name}": {weight:.3f},')


if __name__ == "__main__":
    main()
