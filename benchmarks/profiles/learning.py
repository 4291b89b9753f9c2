"""Whether feedback on some questions makes the answers to others better: never asked before."""

from __future__ import annotations

import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.retrieval import CUT, Memory, Vectors, interval, ndcg, searched, source_files
from khive_supervisor.profiles.model import FEEDBACK, NewEvent
from khive_supervisor.search import ranking
from khive_supervisor.search.engine import embedded_part
from khive_supervisor.search.fusion import Fused
from khive_supervisor.search.ranking import NEUTRAL, RankingProfile
from khive_supervisor.store.interface import Store
from khive_supervisor.verbs import serving

HALVES = 12
#: One of so many sessions is wrong.
ONE_OF = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What a search fused for it, and the entries that are relevant."""

    found: list[Fused]
    relevant: dict[int, float]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who gives feedback: every `ONE_OF`th is wrong and says it so many times; alone: as one."""

    name: str
    repeats: int = 0
    alone: bool = False


CROWDS = (
    Crowd("all right"),
    Crowd("one of ten wrong, three times over", 3),
    Crowd("one wrong session, asking a tenth, 50 times over", 50, alone=True),
)


def measure(context: Context) -> list[Row]:
    """The rows of learning from feedback; none without agents' sessions."""
    if context.sessions is None:
        return []
    vectors = Vectors(context.work / "quality")
    return [
        _row(scope, list(_gains(context, vectors, within=within)))
        for scope, within in (("within a repo", True), ("over all repos", False))
    ]


def _gains(context: Context, vectors: Vectors, *, within: bool) -> Iterator[dict[str, Any]]:
    """For each crowd, what the questions gain that it was never asked."""
    assert context.sessions is not None
    lines = (context.sessions / "tasks.jsonl").read_text("utf-8").splitlines()
    tasks = sorted((json.loads(line) for line in lines), key=lambda task: str(task["id"]))
    with tempfile.TemporaryDirectory(dir=context.work) as directory:
        memory = Memory(directory)
        questions = _questions(memory, tasks, vectors, within=within)
        for crowd in CROWDS:
            before, gained = defaultdict(list), defaultdict(list)
            for half in range(context.times(HALVES)):
                profile = f"{'-'.join(crowd.name.replace(',', '').split())}-{half}"
                for asked, (plain, taught) in _half(memory.store, questions, crowd, profile, half):
                    before[asked].append(plain)
                    gained[asked].append(taught - plain)
            means = np.array([np.mean(values) for values in gained.values()])
            low, high = interval(means)
            yield {
                "crowd": crowd.name,
                "questions": len(means),
                "without": 100 * float(np.mean([np.mean(v) for v in before.values()])),
                "gain": 100 * float(means.mean()),
                "low": low,
                "high": high,
            }
        memory.close()


def _questions(
    memory: Memory, tasks: Sequence[dict[str, Any]], vectors: Vectors, *, within: bool
) -> list[Question]:
    """Every task's problem, asked of all others; ids are those of the store's entries."""
    embedded = vectors.of([task["problem"] for task in tasks])
    asked = vectors.of([embedded_part(task["problem"]) for task in tasks])
    for at, task in enumerate(tasks):
        memory.add([task["problem"]], embedded[at : at + 1], task["repo"])
    questions = []
    for at, task in enumerate(tasks):
        own = memory.entry(at)
        relevant = {
            memory.entry(place): 1.0
            for place, other in enumerate(tasks)
            if other["repo"] == task["repo"] and source_files(other) & source_files(task)
        }
        relevant.pop(own, None)
        repo = task["repo"] if within else None
        both = searched(memory, task["problem"], asked[at], {}, repo).both
        found = {memory.entry(f.id): f._replace(id=memory.entry(f.id)) for f in reversed(both)}
        found.pop(own, None)
        best_first = sorted(found.values(), key=lambda f: -f.score)
        questions.append(Question(best_first, relevant))
    return questions


def _half(
    store: Store, questions: Sequence[Question], crowd: Crowd, profile: str, seed: int
) -> Iterator[tuple[int, tuple[float, float]]]:
    """One half gives feedback; nDCG of each question of the other, without and with a profile."""
    order = list(range(len(questions)))
    random.Random(seed).shuffle(order)
    half = len(order) // 2
    store.profiles.create(profile)
    with store.transaction():  # as fast as it goes: what is learned is the same
        for turn, asked in enumerate(order[:half]):
            shown = _ranked(store, questions[asked], _ranking_profile(store, profile))[:CUT]
            wrong = bool(crowd.repeats) and turn % ONE_OF == 0
            session = "wrong" if wrong and crowd.alone else f"question-{asked}"
            given = [
                NewEvent(
                    profile,
                    FEEDBACK,
                    "useful" if (entry in questions[asked].relevant) != wrong else "not_useful",
                    entry,
                    session=session,
                )
                for entry in shown
            ]
            store.feedback.record_many(given * (crowd.repeats if wrong else 1))
    learned = _ranking_profile(store, profile)
    for asked in order[half:]:
        question = questions[asked]
        if question.relevant:
            yield (
                asked,
                (
                    ndcg(_ranked(store, question, NEUTRAL), question.relevant),
                    ndcg(_ranked(store, question, learned), question.relevant),
                ),
            )


def _ranking_profile(store: Store, name: str) -> RankingProfile:
    profile = store.profiles.find(name)
    assert profile is not None
    return serving.ranking_profile(store, profile)


def _ranked(store: Store, question: Question, ranking_profile: RankingProfile) -> list[int]:
    """The ten best entries, in the order of a search with this taste."""
    means = ranking_profile.means([f.id for f in question.found]) if ranking_profile.means else {}
    contenders = ranking.contenders(question.found, CUT, ranking_profile.weights, means)
    entries = {entry.id: entry for entry in store.entries.get([f.id for f in contenders])}

    def age_of(entry: int) -> ranking.Age:
        # All as new: in which order the tasks were stored says nothing.
        return ranking.Age(entries[entry].salience, entries[entry].decay, 0.0)

    best = ranking.rank(contenders, age_of, ranking_profile.weights, means)
    return [ranked.fused.id for ranked in best[:CUT]]


def _row(scope: str, gains: Sequence[dict[str, Any]]) -> Row:
    first = gains[0]
    return Row(
        what=f"learning {scope}: {first['questions']} questions that nobody had asked, after "
        "feedback on others",
        target="nDCG@10 gained, 95 % interval above 0; with wrong feedback no loss",
        khive="; ".join(
            f"{g['crowd']}: {g['gain']:+.1f} [{g['low']:+.1f}, {g['high']:+.1f}]" for g in gains
        ),
        peers=(f"without a profile: {first['without']:.1f}",),
        met=first["low"] > 0 and all(g["gain"] >= 0 for g in gains[1:]),
        notes=(
            (
                f"Points of nDCG@10. {HALVES} random halves: one gives feedback on the ten "
                "entries shown for each question, each question as a session; the other is "
                "measured. Bootstrap over questions; no loss: the mean is not below 0."
            ),
        ),
        data={"crowds": list(gains)},
    )
