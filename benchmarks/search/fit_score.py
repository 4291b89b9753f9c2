"""Fit the weights of `khive_supervisor/search/fit.py`, and say what they are worth on unseen sets.

    python -m benchmarks.search.fit_score --retrieval FILE [--sessions DIR] [--coding DIR]

A logistic regression: the first relevant result of a question is a hit, the first three results of
an unrelated question are none. Each pair of store and subject counts the same, however many
questions it has; stores are taken whole and as samples of 1,000, 100 and 8 texts, and mixed from
several subjects. Questions of the same field as the store are left out: they are related after all.

What is printed first is honest: for each set the weights are fitted without it, as a store and as
questions, and it is judged by them. What is printed last goes into `fit.py`.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.asked import Asked, KnownVectors, learn_subjects, store_of
from benchmarks.search.retrieval import Vectors
from benchmarks.search.short_facts import PROJECTS
from benchmarks.search.silence import Sets, ask_sessions, curve, read_sets
from benchmarks.search.subjects import (
    TALK,
    Question,
    Subject,
    docstring_subject,
    package_subject,
)
from khive_supervisor.search import fit
from khive_supervisor.search.evidence import Judged

#: Texts of a sampled store, how many samples, and how many questions of its own each is asked.
SAMPLES = ((1000, 1, 150), (100, 6, 20), (8, 25, 2))
#: Own and strange questions of a whole store, and strange ones of a sample by pair.
OWN, STRANGE, STRANGE_SAMPLE = 250, 60, 8
#: Texts of a store that is mixed from all subjects but those of one field, and questions by set.
MIXED = ((3000, 40), (300, 12), (30, 3))
#: What losing a set's answers costs, beside 1: questions as agents ask them, and many names.
COST = {"cosqa": 3.0, "sessions": 3.0, "facts": 4.0, "tldr": 0.5}
SEED = 7
#: The ridge, and what keeps the constant out of it.
RIDGE, STEPS = 1e-3, 60
#: Results of an unrelated question that are taken for none.
NONE = 3
#: Where 0.5 lies: the share of unrelated questions to which a result with a cosine fits as well,
#: each pair of store and subject counting the same; and of hits by words alone those that fit less.
STILL_SHOWN, STILL_LOST = 0.04, 0.08

Weights = Mapping[str, float]
Material = Mapping[str, Subject]


def sampled(
    material: Material, name: str, count: int, own: int, draw: random.Random
) -> tuple[list[int], list[Question]]:
    """Return places of some texts of a subject, and questions that some of these answer."""
    subject = material[name]
    questions = draw.sample(subject.questions, min(own, len(subject.questions)))
    kept = {
        at
        for question in questions
        for at in draw.sample(sorted(question.relevant), min(len(question.relevant), 2))
    }
    rest = [at for at in range(len(subject.texts)) if at not in kept]
    places = [*sorted(kept), *draw.sample(rest, min(max(count - len(kept), 0), len(rest)))]
    new = {old: at for at, old in enumerate(places)}
    return places, [
        Question(one.text, frozenset(new[at] for at in one.relevant if at in new))
        for one in questions
    ]


def strangers(
    material: Material, fields: set[str], count: int, draw: random.Random
) -> Iterator[tuple[str, list[Question]]]:
    """Return questions of the subjects whose fields are none of these, and small talk."""
    for name, subject in material.items():
        if subject.field not in fields and subject.questions:
            yield name, draw.sample(subject.questions, min(count, len(subject.questions)))
    yield "talk", [Question(one, frozenset()) for one in draw.sample(TALK, min(count, len(TALK)))]


def ask_stores(material: Material, known: KnownVectors) -> Iterator[Asked]:
    """Ask whole stores and samples of them, each of one subject."""
    draw = random.Random(SEED)
    for name, subject in material.items():
        for count, samples, own in ((len(subject.texts), 1, OWN), *SAMPLES):
            for _ in range(samples if count < len(subject.texts) or samples == 1 else 0):
                places, questions = sampled(material, name, count, own, draw)
                texts = [subject.texts[at] for at in places]
                strange = STRANGE if count >= min(1000, len(subject.texts)) else STRANGE_SAMPLE
                with store_of(name, texts, known) as ask:
                    if name != "sessions":
                        yield from ask(name, questions, True)
                    for other, some in strangers(material, {subject.field}, strange, draw):
                        yield from ask(other, some, False)


def ask_mixed(material: Material, known: KnownVectors) -> Iterator[Asked]:
    """Ask stores of all subjects but those of one field, which are the strangers."""
    draw = random.Random(SEED)
    for field in sorted({subject.field for subject in material.values()}):
        names = [name for name, subject in material.items() if subject.field != field]
        for count, own in MIXED:
            texts: list[str] = []
            questions: list[tuple[str, Question]] = []
            for name in names:
                places, some = sampled(material, name, count // len(names), own, draw)
                moved = [
                    Question(one.text, frozenset(at + len(texts) for at in one.relevant))
                    for one in some
                ]
                questions += [(name, one) for one in moved if name != "sessions"]
                texts += [material[name].texts[at] for at in places]
            with store_of("mixed", texts, known) as ask:
                for name, one in questions:
                    yield from ask(name, [one], True)
                fields = {material[name].field for name in names}
                for name, some in strangers(material, fields, own, draw):
                    yield from ask(name, some, False)


def ask_facts(material: Material, known: KnownVectors) -> Iterator[Asked]:
    """Ask stores of a few short facts, alone and all together."""
    draw = random.Random(SEED)
    every = [fact for project in PROJECTS for fact, _ in project]
    for number, project in enumerate(PROJECTS):
        own = [fact for fact, _ in project]
        others = [fact for fact in every if fact not in own]
        for texts in (own, own + others):
            questions = [Question(q, frozenset((at,))) for at, (_, q) in enumerate(project)]
            with store_of("facts", texts, known) as ask:
                yield from ask("facts", questions, True)
                for name, some in strangers(material, set(), STRANGE_SAMPLE, draw):
                    yield from ask(name, some, False)
                if texts is own:
                    other = [q for at, p in enumerate(PROJECTS) if at != number for _, q in p]
                    some = [Question(one, frozenset()) for one in draw.sample(other, 20)]
                    yield from ask("facts", some, False)


Example = tuple[Judged, tuple[str, str, str]]


def examples(asked: Sequence[Asked], without: str) -> tuple[list[Example], list[Example]]:
    """Return the judged results that are hits, and that are none, each with its group.

    `without`: a set that is left out.
    """
    hits: list[Example] = []
    none: list[Example] = []
    for one in asked:
        if without in (one.store, one.subject):
            continue
        if one.related and one.first is not None:
            size = "" if one.store in ("facts", "sessions") else str(len(str(one.entries)))
            hits.append((one.results[one.first], (one.store, one.subject, size)))
        elif not one.related:
            none += [(judged, (one.store, one.subject, "")) for judged in one.results[:NONE]]
    return hits, none


def by_meaning(asked: Sequence[Asked], without: str = "") -> Weights:
    """Return the weights for what has a cosine."""
    weights = fitted(*examples(asked, without), list(fit.WITH_MEANING))
    pairs: dict[tuple[str, str], list[float]] = {}
    for one in asked:
        if not one.related and without not in (one.store, one.subject):
            logits = [_logit(judged, weights) for judged in one.results]
            pairs.setdefault((one.store, one.subject), []).append(max(logits, default=-50.0))
    low, high = -20.0, 20.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        share = np.mean([np.mean(np.array(some) >= middle) for some in pairs.values()])
        low, high = (middle, high) if share > STILL_SHOWN else (low, middle)
    return {**weights, "constant": weights["constant"] - high}


def by_words(asked: Sequence[Asked]) -> Weights:
    """Return the weights for what has no cosine, from what the words alone would find."""
    hits, none = ([one for one in some if one[0].facts.coverage] for some in examples(asked, ""))
    weights = fitted(hits, none, list(fit.BY_WORDS))
    logits = [_logit(judged, weights) for judged, _ in hits]
    return {**weights, "constant": weights["constant"] - float(np.quantile(logits, STILL_LOST))}


def _logit(judged: Judged, weights: Weights) -> float:
    known = fit.features(judged.facts, judged.query)
    return sum(weight * known[name] for name, weight in weights.items())


def fitted(hits: Sequence[Example], none: Sequence[Example], names: Sequence[str]) -> Weights:
    """Return the weights of features by ridge regression, hits and others counting the same."""
    every = [judged for judged, _ in [*hits, *none]]
    known = [fit.features(judged.facts, judged.query) for judged in every]
    rows = np.array([[one[name] for name in names] for one in known])
    groups = Counter(group for _, group in hits), Counter(group for _, group in none)
    cost = np.array([COST.get(group[1], 1.0) / groups[0][group] for _, group in hits])
    free = np.array([1.0 / groups[1][group] for _, group in none])
    weights = np.array([*(cost / cost.sum()), *(free / free.sum())])
    target = np.array([1.0] * len(hits) + [0.0] * len(none))
    return dict(zip(names, _regression(rows, target, weights), strict=True))


def _regression(rows: Any, target: Any, weights: Any) -> list[float]:
    """Newton's method on standardised features; the first is the constant."""
    weights = weights / weights.mean()
    mean, spread = rows.mean(0), rows.std(0)
    mean[0], spread[0] = 0.0, 1.0
    scaled = (rows - mean) / spread
    ridge = np.eye(rows.shape[1]) * RIDGE * len(rows)
    ridge[0, 0] = 0.0
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        likely = 1.0 / (1.0 + np.exp(-scaled @ found))
        slope = scaled.T @ (weights * (likely - target)) + ridge @ found
        curvature = (scaled * (weights * likely * (1 - likely))[:, None]).T @ scaled + ridge
        found = found - np.linalg.solve(curvature, slope)
    plain = found / spread
    plain[0] = found[0] - float((found[1:] * mean[1:] / spread[1:]).sum())
    return [float(one) for one in plain]


def judged_by(asked: Sequence[Asked], weights: Weights) -> list[Asked]:
    """Return the same as other weights would judge it."""
    return [
        Asked(
            one.store,
            one.subject,
            one.entries,
            one.related,
            one.first,
            [
                Judged(
                    judged.ranked,
                    fit.fit(judged.facts, judged.query, weights),
                    judged.facts,
                    judged.query,
                )
                for judged in one.results
            ],
        )
        for one in asked
    ]


def gathered(sets: Sets) -> list[Subject]:
    """Return all subjects there are here."""
    packages = package_subject()
    return [*sets.subjects, docstring_subject(), *([packages] if packages else [])]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retrieval", type=Path, metavar="FILE")
    parser.add_argument("--sessions", type=Path, metavar="DIR")
    parser.add_argument("--coding", type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep embeddings here")
    given = parser.parse_args()
    known = KnownVectors(Vectors(given.cache))
    sets = read_sets(given.retrieval, given.sessions, given.coding)
    material = {one.name: one for one in gathered(sets)}
    learn_subjects(known, material.values())
    known.know([*TALK, *(text for project in PROJECTS for pair in project for text in pair)])
    asked = list(
        itertools.chain(
            ask_stores(material, known),
            ask_mixed(material, known),
            ask_facts(material, known),
            ask_sessions(sets.sessions, known),
        )
    )
    print(f"{len(asked)} questions")
    for name in [*material, "facts", "mixed"]:
        weights = by_meaning(asked, without=name)
        print(f"\nwithout {name}:")
        own = [one for one in asked if name in (one.store, one.subject)]
        print(*curve(judged_by(own, weights)), sep="\n")
    for label, weights in (
        ("WITH_MEANING", by_meaning(asked)),
        ("BY_WORDS", by_words(asked)),
    ):
        print(f"\n{label}")
        for feature, weight in weights.items():
            print(f'        "{feature}": {weight:.3f},')


if __name__ == "__main__":
    main()
