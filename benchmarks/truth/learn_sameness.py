"""Learn the weights of `khive_supervisor/truth/sameness.py`, and say what they are worth unseen.

    python -m benchmarks.truth.learn_sameness --retrieval FILE [--write]

A logistic regression over pairs of a new text and the earlier ones next to it. The material is in
`notice/`: notes as people and agents leave them, said again or with another value by somebody who
does not look at the first (`notes_*.txt`); topics, each said in four ways that share few words;
pairs that share words; pairs that are alike and both hold; and the subjects. Unrelated are all
others of these, facts of ten projects, abstracts, code, commands and descriptions of packages. What
judges is none of it.

What is printed first is honest: each half of the topics is judged by what the other one taught.
What is printed last goes into `sameness.py`; `--write` puts the vectors of the subjects beside it.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.search.short_facts import PROJECTS
from benchmarks.search.subjects import docstring_subject, package_subject, retrieval_subjects
from benchmarks.truth import logistic
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs.truth.sameness import SUBJECTS
from khive_supervisor.truth import sameness
from khive_supervisor.truth.compare import NEAR, compare
from khive_supervisor.truth.reading import read

HERE = Path(__file__).parent / "notice"
#: Earlier texts that each new one is compared with, as `remember` does, and told of at most.
CANDIDATES, TOLD = 16, 2
#: Texts of a real store, and of those, from which one on it is asked what is told.
REAL, ASKED_FROM = 400, 100
#: Items of a made store, how many of them each half has, and the seed.
ITEMS, STORES, SEED = 110, 10, 3
#: What an unrelated candidate of a real store counts, and how many of each text are learned from;
#: and what one counts that is only alike.
REAL_WEIGHT, REAL_CANDIDATES, ALIKE_WEIGHT = 0.3, 2, 1.0
#: What a text of the topics counts: their wording is rarer than that of notes.
TOPIC_WEIGHT = 0.2
RIDGE, STEPS = 1.0, 30
#: The share of unrelated writes at which something may be told, in each of the stores.
SHOWN = 0.17
#: Words of a subject's line that stand for it.
NAMED = 14

Floats = NDArray[np.float64]
#: A topic and its texts: said again, said again with the same words, or only alike.
Item = tuple[str, int, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Write:
    """A text that is remembered: its candidates' features, which is the one, what rules tell."""

    kind: str
    features: Floats
    earlier: NDArray[np.int64]
    wanted: int
    told: Sequence[int]
    left: NDArray[np.bool_]


def lines_of(name: str) -> list[list[str]]:
    """Return the texts of each line of a table."""
    text = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    return [[part.strip() for part in line.split(" | ")] for line in text.splitlines() if line]


@cache
def _model() -> MiniLM:
    return MiniLM()


def embedded(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the vectors of texts as a store keeps them."""
    rows = [_model().embed(texts[at : at + 32]) for at in range(0, len(texts), 32)]
    return np.vstack(rows).astype("<f2").astype(np.float32)


def subject_vectors() -> NDArray[np.float32]:
    """Return the vectors of the subjects: of each line its name and its first words."""
    named = []
    for line in (HERE / "subjects.txt").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        named.append(f"{name}: {', '.join(word.strip() for word in rest.split(',')[:NAMED])}")
    return embedded(named)


def writes(
    texts: Sequence[str],
    vectors: NDArray[np.float32],
    subjects: NDArray[np.float32],
    wanted: Callable[[int], tuple[str, int]],
    start: int = 1,
) -> Iterator[Write]:
    """Yield what is known of each text when it is remembered after those before it."""
    readings = [read(text) for text in texts]
    for place in range(start, len(texts)):
        if readings[place].long:
            continue
        near = vectors[:place] @ vectors[place]
        first = np.argsort(-near)[:CANDIDATES]
        kind, one = wanted(place)
        found = [compare(readings[place], readings[at], float(near[at])) for at in first]
        ruled = [c is not None and c.kind != NEAR for c in found]
        long = [readings[at].long for at in first]
        known = sameness.features(
            readings[place], [readings[at] for at in first],
            vectors[[*first, place]], subjects,
        )  # fmt: skip
        table = np.array([known[name] for name in NAMES]).T
        told = [int(at) for at, yes in zip(first, ruled, strict=True) if yes][:TOLD]
        yield Write(kind, table, first, one, told, ~(np.array(ruled) | np.array(long)))


#: The features that are learned from.
NAMES = (
    "constant", "cosine", "stands_out", "crowded", "subject", "subject_stands_out",
    "subject_crowded", "gap", "level", "words", "length", "new_length", "rivals", "first",
    "subject_word", "rare", "rare_sum",
)  # fmt: skip


def made_stores(items: Sequence[Item], seed: int) -> Iterator[Sequence[tuple[str, int, str]]]:
    """Yield stores of some of the items, each by two of its texts, in turns one after another."""
    draw = random.Random(seed)
    for number in range(STORES):
        said = []
        for kind, which, texts in draw.sample(items, min(ITEMS, len(items))):
            first = draw.sample(texts, 2) if kind == "topic" else texts
            said += [(kind, which, text) for text in first]
        if number % 2:
            draw.shuffle(said)
        yield said


def of_store(
    said: Sequence[tuple[str, int, str]],
    vectors: Mapping[str, NDArray[np.float32]],
    subjects: NDArray[np.float32],
) -> list[Write]:
    """Return the writes of a made store."""

    def wanted(place: int) -> tuple[str, int]:
        mine = said[place][:2]
        earlier = next((at for at in range(place) if said[at][:2] == mine), -1)
        if earlier < 0:
            return "unrelated", -1
        return mine[0], -1 if mine[0] == "alike" else earlier

    texts = [text for _, _, text in said]
    return [*writes(texts, np.stack([vectors[one] for one in texts]), subjects, wanted)]


def real_stores(retrieval: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Yield texts of which none says what another one does: not those that judge."""
    known = [*retrieval_subjects(retrieval)] if retrieval else []
    for one in (*known, docstring_subject(), package_subject()):
        if one is not None:
            yield one.name, [text for text in one.texts if text.strip()][REAL : 2 * REAL]
    facts = [fact for project in PROJECTS for fact, _ in project]
    for seed in range(3):
        yield f"short facts {seed}", random.Random(seed).sample(facts, len(facts))


def learned(
    made: Sequence[Write], noted: Sequence[Write], real: Sequence[Write], columns: Sequence[int]
) -> Floats:
    """Return the weights of some features."""
    rows, hits, weights = [], [], []
    for some, counted, most in (
        (made, TOPIC_WEIGHT, CANDIDATES),
        (noted, 1.0, CANDIDATES),
        (real, REAL_WEIGHT, REAL_CANDIDATES),
    ):
        for write in some:
            kept = np.flatnonzero(write.left[:most])
            rows.append(write.features[kept][:, columns])
            hits.append(write.earlier[kept] == write.wanted)
            alike = ALIKE_WEIGHT if write.kind == "alike" else 1.0
            weights.append(np.full(len(kept), alike * counted))
    hit, counts = np.concatenate(hits) * 1.0, np.concatenate(weights)
    return logistic.learned(np.vstack(rows), hit, counts, ridge=RIDGE, steps=STEPS)


def told(write: Write, weights: Floats, columns: Sequence[int], bar: float) -> list[int]:
    """Return which earlier texts are told of."""
    found = write.features[:, columns] @ weights
    more = [
        int(write.earlier[at]) for at in np.argsort(-found) if write.left[at] and found[at] >= bar
    ]
    return [*write.told, *more][:TOLD]


def shown(some: Sequence[Write], weights: Floats, columns: Sequence[int], bar: float) -> float:
    """Return the share of writes at which something is told."""
    return float(np.mean([bool(told(one, weights, columns, bar)) for one in some]))


def found(some: Sequence[Write], weights: Floats, columns: Sequence[int], bar: float) -> float:
    """Return the share of writes at which the earlier text is told."""
    return float(np.mean([one.wanted in told(one, weights, columns, bar) for one in some]))


def bar_of(stores: Mapping[str, Sequence[Write]], weights: Floats, columns: Sequence[int]) -> float:
    """Return the lowest bar at which no store shows more than it may."""
    low, high = -15.0, 15.0
    for _ in range(30):
        middle = (low + high) / 2
        worst = max(shown(some, weights, columns, middle) for some in stores.values())
        low, high = (low, middle) if worst <= SHOWN else (middle, high)
    return high


def notes(half: int, subjects: NDArray[np.float32]) -> list[Write]:
    """Return the writes of every other one of the notes: the first of each pair, then the others.

    Nothing is told of the first of them: until there is something to be like, nothing can be.
    """
    first: list[tuple[str, int, str]] = []
    later: list[tuple[str, int, str]] = []
    for kind in ("restated", "changed", "alike"):
        for number, (one, other, *_) in enumerate(lines_of(f"notes_{kind}")[half::2]):
            first.append((kind, number, one))
            later.append((kind, number, other))
    first += [("single", at, text) for at, (text,) in enumerate(lines_of("notes_single")[half::2])]
    draw = random.Random(SEED + half)
    draw.shuffle(first)
    draw.shuffle(later)
    said = [*first, *later]
    known = [one[:2] for one in said]

    def wanted(place: int) -> tuple[str, int]:
        if place < len(first):
            return "unrelated", -1
        return known[place][0], -1 if known[place][0] == "alike" else known.index(known[place])

    texts = [text for _, _, text in said]
    return [*writes(texts, embedded(texts), subjects, wanted, len(first) // 4)]


@dataclass(frozen=True, slots=True)
class Material:
    """The writes of both halves of the made stores, of both halves of the notes, and real ones."""

    halves: tuple[Sequence[Write], Sequence[Write]]
    noted: tuple[Sequence[Write], Sequence[Write]]
    real: Mapping[str, Sequence[Write]]
    subjects: NDArray[np.float32]


def gathered(retrieval: Path | None) -> Material:
    """Return what is learned from."""
    items: list[Item] = [
        (kind, number, texts[:most])
        for kind, table, most in (
            ("topic", "topics", 4),
            ("again", "overlapping", 2),
            ("alike", "alike", 2),
        )
        for number, texts in enumerate(lines_of(table))
    ]
    texts = sorted({text for _, _, some in items for text in some})
    vectors = dict(zip(texts, embedded(texts), strict=True))
    subjects = subject_vectors()
    random.Random(SEED).shuffle(items)
    halves = [
        [write for said in made_stores(half, seed) for write in of_store(said, vectors, subjects)]
        for seed, half in enumerate((items[::2], items[1::2]))
    ]
    real = {
        name: [*writes(some, embedded(some), subjects, lambda _: ("unrelated", -1),
                       1 if name.startswith("short") else ASKED_FROM)]
        for name, some in real_stores(retrieval)
    }  # fmt: skip
    small = [[fact for fact, _ in project] for project in PROJECTS]
    real["facts of one project"] = [
        write
        for some in small
        for write in writes(some, embedded(some), subjects, lambda _: ("unrelated", -1))
    ]
    noted = notes(0, subjects), notes(1, subjects)
    return Material((halves[0], halves[1]), noted, real, subjects)


def judged(material: Material, columns: Sequence[int]) -> str:
    """Return what each half makes of the other: found, and shown where nothing was said before."""
    every = [write for some in material.real.values() for write in some]
    rows = []
    for taught in (0, 1):
        noted = material.noted[taught]
        weights = learned(material.halves[taught], noted, every, columns)
        bar = bar_of(stores_of(material, noted), weights, columns)
        rows.append([
            (found if kind in FOUND else shown)(
                [one for one in (*material.noted[1 - taught], *material.halves[1 - taught])
                 if one.kind == kind], weights, columns, bar,
            )
            for kind in KINDS
        ])  # fmt: skip
    mean = np.mean(rows, 0)
    return ", ".join(f"{n} {100 * v:.1f} %" for n, v in zip(KINDS, mean, strict=True))


#: What writes are: of these the earlier text is to be found; of the others, what is told is shown.
FOUND = ("restated", "changed", "topic", "again")
KINDS = (*FOUND, "unrelated", "alike")


def stores_of(material: Material, noted: Sequence[Write]) -> Mapping[str, Sequence[Write]]:
    """Return the stores in which nothing was said before, those of notes among them."""
    first = [one for one in noted if one.kind == "unrelated"]
    return {**material.real, "notes": first}


def main() -> None:
    """Learn, and print what it is worth and the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--retrieval", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="write the vectors of the subjects")
    options = parser.parse_args()
    material = gathered(options.retrieval)
    columns = range(len(NAMES))
    print("told, each half by the other:", judged(material, columns))
    every = [write for some in material.real.values() for write in some]
    made = [*material.halves[0], *material.halves[1]]
    noted = [*material.noted[0], *material.noted[1]]
    weights = learned(made, noted, every, columns)
    stores = stores_of(material, noted)
    weights[0] -= bar_of(stores, weights, columns)
    for name, some in stores.items():
        print(f"{name}: told at {100 * shown(some, weights, columns, 0.0):.1f} %")
    for name, weight in zip(NAMES, weights, strict=True):
        print(f'        "{name}": {weight:.3f},')
    if options.write:
        np.save(SUBJECTS, material.subjects.astype("<f2"))


if __name__ == "__main__":
    main()
