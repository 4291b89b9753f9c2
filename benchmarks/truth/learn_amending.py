"""Learn the weights of `khive_supervisor/truth/amending.py`, and say what they are worth unseen.

    python -m benchmarks.truth.learn_amending --sessions DIR

A logistic regression over pairs of a newer chat and an older one. The material is in `chats/`: a
decision, the chat that amends it, and an earlier one beside it that still holds (`amended.txt`);
and chats that change something else than the earlier one said (`changing_elsewhere.txt`). What
agents thought in real sessions of one repository is alike, and amends nothing. What judges
(`judged_amended.txt`) is none of it.

What is printed first is honest: each half of the chats is judged by what the other one taught. What
is printed last goes into `amending.py`.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import logistic
from benchmarks.truth.amended_chats import Amended, Chat, amended_chats, lines_of
from benchmarks.truth.learn_sameness import embedded
from khive_supervisor.packs.truth.sameness import worth_of
from khive_supervisor.truth import amending
from khive_supervisor.truth.reading import Reading, read

RIDGE, STEPS = 1.0, 40
#: Strangers that a chat is compared with: the nearest ones; and real sessions.
STRANGERS, SESSIONS, NEAREST_SESSIONS = 6, 120, 2
#: Thoughts of a session that are read, and characters of each.
THOUGHTS, CHARACTERS = 3, 500
#: What an exchange of a chat counts beside the whole one, and what a session does: nearly no real
#: one says that it changes something, and they are compared as if all of them did.
EXCHANGE_WEIGHT, SESSION_WEIGHT = 0.15, 0.02
NAMES = ("constant", "cosine", "shared", "named")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Said:
    """What is compared: a text, and its vector."""

    reading: Reading
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """A pair: what it is, what it counts, whether the older one is amended, its features."""

    kind: str
    count: float
    hit: bool
    features: Sequence[float]


def said_by(chat: Chat) -> list[Said]:
    """Return a chat as a whole, and each of its exchanges."""
    texts = [f"{chat.title}\n{one}" for one in chat.exchanges]
    vectors = embedded(texts)
    whole = vectors.sum(0)
    together = read("\n".join([chat.title, *chat.exchanges]))
    first = Said(together, whole / np.linalg.norm(whole))
    return [first, *(Said(read(text), row) for text, row in zip(texts, vectors, strict=True))]


def cases_of(
    amended: Sequence[Amended], elsewhere: Sequence[Sequence[Chat]], worth: amending.Worth
) -> Iterator[Case]:
    """Yield the pairs of chats that say that they change something, with older ones."""
    said = {chat.title: said_by(chat) for one in amended for chat in one.chats}
    every = [*said.items()]
    for one in amended:
        newer, own = said[one.newer.title], {chat.title for chat in one.chats}
        near = sorted(
            (other for title, other in every if title not in own),
            key=lambda other: -float(newer[0].vector @ other[0].vector),
        )
        yield from _pairs("amended", newer, said[one.older.title], worth)
        yield from _pairs("beside", newer, said[one.beside.title], worth)
        for other in near[:STRANGERS]:
            yield from _pairs("stranger", newer[:1], other[:1], worth)
    for older, newer_chat in elsewhere:
        yield from _pairs("elsewhere", said_by(newer_chat), said_by(older), worth)


def _pairs(
    kind: str, newer: Sequence[Said], older: Sequence[Said], worth: amending.Worth
) -> Iterator[Case]:
    """Yield the whole chats, and each exchange with each other one."""
    for new in newer:
        for old in older:
            whole = new is newer[0] and old is older[0]
            if new.reading.amends and (whole or (new is not newer[0] and old is not older[0])):
                count = 1.0 if whole else EXCHANGE_WEIGHT
                name = kind if whole else f"{kind}, exchanges"
                yield _case(name, count, kind == "amended", new, old, worth)


def _case(kind: str, count: float, hit: bool, new: Said, old: Said, worth: amending.Worth) -> Case:
    cosine = float(new.vector @ old.vector)
    known = amending.features(new.reading, old.reading, cosine, worth)
    return Case(kind, count, hit, [known[name] for name in NAMES])


def sessions_of(directory: Path, worth: amending.Worth) -> Iterator[Case]:
    """Yield pairs of real sessions that are next to each other."""
    said = [said_by(one)[0] for one in _session_chats(directory)]
    for new in said:
        near = sorted(
            (one for one in said if one is not new), key=lambda one: -float(new.vector @ one.vector)
        )
        for old in near[:NEAREST_SESSIONS]:
            yield _case("session", SESSION_WEIGHT, False, new, old, worth)


def _session_chats(directory: Path) -> list[Chat]:
    found = []
    with gzip.open(directory / "sessions.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            events = json.loads(line)["events"]
            thoughts = [one["thought"].strip() for one in events if one.get("thought")]
            if len(thoughts) >= THOUGHTS:
                cut = [one[:CHARACTERS] for one in thoughts[:THOUGHTS]]
                found.append(Chat(cut[0][:160], cut))
    return found[:SESSIONS]


def learned(some: Sequence[Case]) -> Floats:
    """Return the weights of the features."""
    return logistic.learned(
        np.array([one.features for one in some]),
        np.array([float(one.hit) for one in some]),
        np.array([one.count for one in some]),
        ridge=RIDGE, steps=STEPS,
    )  # fmt: skip


def counted(some: Sequence[Case], weights: Floats) -> Mapping[str, Counter[str]]:
    """Return by kind how many pairs there are, and how many are taken for an amendment."""
    found: dict[str, Counter[str]] = {}
    for one in some:
        known = found.setdefault(one.kind, Counter())
        known["pairs"] += 1
        known["told"] += float(np.array(one.features) @ weights) > 0.0
    return found


def main() -> None:
    """Learn, and print what it is worth and the weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sessions", type=Path, metavar="DIR", required=True)
    options = parser.parse_args()
    amended = amended_chats("amended")
    elsewhere = [[Chat.of(part) for part in line] for line in lines_of("changing_elsewhere")]
    texts = [
        f"{chat.title}\n{one}"
        for chats in (
            *(some.chats for some in amended),
            *elsewhere,
            _session_chats(options.sessions),
        )
        for chat in chats
        for one in chat.exchanges
    ]
    worth = worth_in(texts)
    sessions = [*sessions_of(options.sessions, worth)]
    halves = [[*cases_of(amended[half::2], elsewhere[half::2], worth)] for half in (0, 1)]
    total: dict[str, Counter[str]] = {}
    for taught, judged in (halves, halves[::-1]):
        for kind, known in counted(judged, learned([*taught, *sessions])).items():
            total[kind] = total.get(kind, Counter()) + known
    for kind, known in total.items():
        print(f"{kind}: {known['told']} of {known['pairs']}")
    for name, weight in zip(NAMES, learned([*halves[0], *halves[1], *sessions]), strict=True):
        print(f'        "{name}": {weight:.3f},')


def worth_in(texts: Sequence[str]) -> amending.Worth:
    """Return what words are worth in a store of these texts."""
    counts = Counter(word for text in texts for word in {*read(text).tokens.values()})
    return worth_of(lambda some: {one: counts[one] for one in some}, lambda: len(texts))


if __name__ == "__main__":
    main()
