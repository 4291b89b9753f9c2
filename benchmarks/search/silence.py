"""Is nothing shown where nothing fits, and is what fits still shown: the curve of the floor.

    python -m benchmarks.search.silence --retrieval FILE [--sessions DIR] [--coding DIR]

Each question is asked of the store of its own subject, where its first relevant result (among the
ten that are shown without a floor) may be lost to the floor, and of stores of other subjects, where
whatever is shown is too much. `subjects` says what the sets are and which are unrelated.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import Asked, KnownVectors, learn_subjects, store_of
from benchmarks.search.retrieval import Vectors
from benchmarks.search.subjects import (
    TALK,
    Question,
    Subject,
    coding_subject,
    retrieval_subjects,
    session_subjects,
)
from khive_supervisor.config.settings.search import SearchSettings

#: Unrelated questions in all, and related ones of each set at most.
UNRELATED, RELATED, SEED = 1000, 500, 3
#: Percent that may be shown to unrelated questions, and of first relevant results that may be lost.
SHOWN, LOST = 5.0, {"cisi": 10.0, "cosqa": 3.0, "coding": 3.0, "sessions": 3.0}
FLOORS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Sets:
    """The subjects: those with a store each, and agents' tasks, of which each has its own."""

    subjects: Sequence[Subject]
    sessions: Sequence[Subject]


def read_sets(retrieval: Path | None, sessions: Path | None, coding: Path | None) -> Sets:
    """Read what there is."""
    subjects = list(retrieval_subjects(retrieval)) if retrieval else []
    if coding is not None:
        subjects.append(coding_subject(coding))
    growing = list(session_subjects(sessions)) if sessions else []
    if growing:
        texts = list(dict.fromkeys(text for one in growing for text in one.texts))
        asked = [Question(one.questions[0].text, frozenset()) for one in growing]
        subjects.append(Subject("sessions", "python", texts, asked))
    return Sets(subjects, growing)


def unrelated(subjects: Sequence[Subject], count: int) -> dict[str, list[tuple[str, Question]]]:
    """Return for each store questions of other fields, as many of each pair, by subject."""
    pairs = [(s, q) for s, q in itertools.product(subjects, subjects) if s.field != q.field]
    each = -(-count // max(len(pairs), 1))
    draw = random.Random(SEED)
    chosen: dict[str, list[tuple[str, Question]]] = {}
    for store, subject in pairs:
        some = draw.sample(subject.questions, min(each, len(subject.questions)))
        chosen.setdefault(store.name, []).extend((subject.name, one) for one in some)
    return chosen


def ask_all(sets: Sets, known: KnownVectors, count: int) -> Iterator[Asked]:
    """Ask everything of everybody."""
    learn_subjects(known, sets.subjects)
    known.know(TALK)
    strangers = unrelated(sets.subjects, count)
    for subject in sets.subjects:
        draw = random.Random(SEED)
        own = draw.sample(subject.questions, min(RELATED, len(subject.questions)))
        with store_of(subject.name, subject.texts, known) as ask:
            if subject.name != "sessions":
                yield from ask(subject.name, own, True)
            for name, question in strangers.get(subject.name, ()):
                yield from ask(name, [question], False)
            yield from ask("talk", [Question(text, frozenset()) for text in TALK], False)
    yield from ask_sessions(sets.sessions, known)


def ask_sessions(sessions: Sequence[Subject], known: KnownVectors) -> Iterator[Asked]:
    """Ask each task of the earlier ones of its repository."""
    for one in sessions:
        with store_of("sessions", one.texts, known) as ask:
            yield from ask("sessions", one.questions, True)


def lost(asked: Sequence[Asked], floor: float) -> dict[str, float]:
    """Return by set the percentage of first relevant results that a floor leaves out."""
    found: dict[str, list[bool]] = {}
    for one in asked:
        if one.related and one.first is not None:
            found.setdefault(one.store, []).append(one.relevant < floor)
    return {name: 100 * sum(rows) / len(rows) for name, rows in found.items()}


def shown(asked: Sequence[Asked], floor: float, *, talk: bool) -> float:
    """Return the percentage of unrelated questions to which a floor shows anything."""
    rows = [
        bool(one.results) and one.best >= floor
        for one in asked
        if not one.related and (one.subject == "talk") is talk
    ]
    return 100 * sum(rows) / len(rows) if rows else 0.0


def pairs_shown(asked: Sequence[Asked], floor: float) -> dict[str, float]:
    """Return the same by pair, as "store < subject of the question"."""
    rows: dict[str, list[bool]] = {}
    for one in asked:
        if not one.related:
            shows = bool(one.results) and one.best >= floor
            rows.setdefault(f"{one.store} < {one.subject}", []).append(shows)
    return {name: 100 * sum(some) / len(some) for name, some in rows.items()}


def curve(asked: Sequence[Asked]) -> list[str]:
    """Return the curve as lines."""
    names = sorted(lost(asked, 0.0))
    lines = [f"{'floor':>5}  unrelated   talk  lost: {'  '.join(f'{n:>8}' for n in names)}"]
    for floor in FLOORS:
        gone = lost(asked, floor)
        values = "  ".join(f"{gone[name]:7.1f}%" for name in names)
        strange, talk = shown(asked, floor, talk=False), shown(asked, floor, talk=True)
        lines.append(f"{floor:5.1f}  {strange:8.1f}%  {talk:4.1f}%        {values}")
    return lines


def measure(context: Context) -> list[Row]:
    """The rows of silence; without sets they say nothing."""
    sets = read_sets(context.retrieval, context.sessions, context.coding)
    if not sets.subjects:
        return []
    known = KnownVectors(Vectors(context.work / "quality"))
    asked = list(ask_all(sets, known, context.times(UNRELATED)))
    floor = SearchSettings().floor
    strange, talk, gone = _at(asked, floor)
    count = sum(not one.related and one.subject != "talk" for one in asked)
    return [
        Row(
            what=f"{count} unrelated questions that show anything, and small talk",
            target=f"at most {SHOWN:.0f} %",
            khive=f"{strange:.1f} %; small talk {talk:.1f} %",
            peers=("before: 100 %",),
            met=max(strange, talk) <= SHOWN,
            notes=tuple(curve(asked)),
            data=pairs_shown(asked, floor),
        ),
        Row(
            what="first relevant results that the floor leaves out",
            target="; ".join(f"{name} {most:.0f} %" for name, most in LOST.items()),
            khive="; ".join(f"{name} {value:.1f} %" for name, value in gone.items()),
            peers=("before: 0 %",),
            met=all(gone[name] <= most for name, most in LOST.items() if name in gone),
            data=gone,
        ),
    ]


def _at(asked: Sequence[Asked], floor: float) -> tuple[float, float, Mapping[str, float]]:
    strange, talk = shown(asked, floor, talk=False), shown(asked, floor, talk=True)
    return strange, talk, lost(asked, floor)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retrieval", type=Path, metavar="FILE")
    parser.add_argument("--sessions", type=Path, metavar="DIR")
    parser.add_argument("--coding", type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep embeddings here")
    given = parser.parse_args()
    sets = read_sets(given.retrieval, given.sessions, given.coding)
    asked = list(ask_all(sets, KnownVectors(Vectors(given.cache)), UNRELATED))
    print(*curve(asked), sep="\n")
    print(f"at {SearchSettings().floor}:")
    for name, value in sorted(pairs_shown(asked, SearchSettings().floor).items()):
        print(f"  {name:24}{value:6.1f} % shown")


if __name__ == "__main__":
    main()
