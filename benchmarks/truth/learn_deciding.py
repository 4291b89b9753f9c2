"""Learn the weights of `khive_supervisor/truth/deciding.py`, and say what they are worth unseen.

    python -m benchmarks.truth.learn_deciding

A logistic regression over pairs of the first result and a newer one just behind it, both of them
conversations. The material is in `chats/`: a decision, a later chat that decides it anew and one
that decides something beside it, and a question for the decision (`decided.txt`; its first column
says whether the later chats have words of a change); and decisions, the chats that amend them and
ones beside them (`amended.txt`). What judges is none of it.

Each decision is asked for in two stores: in one it is decided anew, in the other it still holds.
What is printed first is honest: each half of the chats is judged by what the other one taught. What
is printed last goes into `deciding.py`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.truth import logistic
from benchmarks.truth.amended_chats import Chat, amended_chats, lines_of
from benchmarks.truth.contradictions import REGISTRY, Memory
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs.truth import agreement, newer_first, sameness
from khive_supervisor.search.results import Hit
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.truth import deciding

#: What an error counts where neither of the two was asked for; how strongly weights are held back.
ELSEWHERE, RIDGE, STEPS = 0.15, 2.0, 40
#: Added to what is learned: how many more are settled for one that holds and is not first.
BOLDER = 0.25
#: Seconds between what was decided and what is said later.
LATER = 21 * 86400.0
NAMES = ("constant", "stands_out", "shared", "names", "amends")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision, what is said later, whether that decides it anew, and a question for it."""

    earlier: Sequence[Chat]
    later: Chat | None
    anew: bool
    question: str

    @property
    def kind(self) -> str:
        """Return what it is, for the numbers."""
        return "decided anew" if self.anew else "holds"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back: the titles in their order, the places of candidates, and their features."""

    of: Decided
    titles: Sequence[str]
    places: Sequence[int]
    features: Floats

    def is_right(self, weights: Floats | None) -> bool:
        """Return True if the newer one is before the older one, or what holds is the first."""
        titles, older = list(self.titles), self.of.earlier[0].title
        logits = self.features @ weights if weights is not None and self.places else np.zeros(1)
        if logits.max() > 0.0:
            titles.insert(0, titles.pop(self.places[int(logits.argmax())]))
        if not self.of.anew or self.of.later is None:
            return titles[:1] == [older]
        newer = self.of.later.title
        return older not in titles or newer in titles[: titles.index(older)]


def material(turn: int) -> list[Decided]:
    """Return the decisions of one of two stores: every other one is decided anew there."""
    found = []
    for at, (_, older, newer, beside, question) in enumerate(lines_of("decided")):
        anew = (at + turn) % 2 == 0
        found.append(Decided([Chat.of(older)], Chat.of(newer if anew else beside), anew, question))
    for at, one in enumerate(amended_chats("amended")):
        anew = (at + turn) % 2 == 0
        earlier = [one.older, one.beside]
        found.append(Decided(earlier, one.newer if anew else None, anew, one.question))
    return found


def answers(some: Sequence[Decided], model: MiniLM, *, whole: bool) -> Iterator[Asked]:
    """Store all, each exchange or each chat a memory, and ask for every decision."""
    with tempfile.TemporaryDirectory() as place:
        memory = Memory(Path(place) / "store", model)
        for chat in [chat for one in some for chat in one.earlier]:
            _remember(memory, chat, whole)
        memory.now += LATER
        for chat in [one.later for one in some if one.later]:
            _remember(memory, chat, whole)
        for one in some:
            hits = memory.context.search.search(
                one.question, EntryFilter(), limit=10, now=memory.now
            ).hits
            yield _answer(memory, one, hits)


def _remember(memory: Memory, chat: Chat, whole: bool) -> None:
    memory.now += 3600.0
    for text in ["\n".join(chat.exchanges)] if whole else chat.exchanges:
        memory.now += 60.0
        said = {"content": text, "title": chat.title, "source": f"chat:{chat.title}"}
        REGISTRY.call(memory.context, "memory.remember", said)


def _answer(memory: Memory, of: Decided, hits: Sequence[Hit]) -> Asked:
    _, cosines, readings = agreement.known_of(memory.context, hits)
    worth = sameness.worth_here(memory.context)
    found = [one for one in newer_first.candidates(hits, cosines, readings) if one.spoken]
    known = [deciding.features(one.newer, one.older, one.alike, worth) for one in found]
    return Asked(
        of,
        [hit.entry.title for hit in hits],
        [one.place for one in found],
        np.array([[one[name] for name in NAMES] for one in known]).reshape(-1, len(NAMES)),
    )


def learned(some: Sequence[Asked]) -> Floats:
    """Return the weights that tell which newer chat decides the first one anew."""
    rows, hits, counts = [], [], []
    for one in some:
        older = one.of.earlier[0].title
        newer = one.of.later.title if one.of.anew and one.of.later else ""
        for place, row in zip(one.places, one.features, strict=True):
            right = (one.titles[0], one.titles[place]) == (older, newer)
            if not right and newer == one.titles[place]:
                continue  # what was asked for comes before a stranger: no harm
            rows.append(row)
            hits.append(float(right))
            counts.append(1.0 if one.titles[0] == older else ELSEWHERE)
    weights = logistic.learned(
        np.array(rows), np.array(hits), np.array(counts), ridge=RIDGE, steps=STEPS
    )
    weights[0] += BOLDER
    return weights


def counted(some: Sequence[Asked], weights: Floats) -> Mapping[str, Counter[str]]:
    """Return by kind how many are asked, and right before and after."""
    return logistic.tallied((a.of.kind, a.is_right(None), a.is_right(weights)) for a in some)


def main() -> None:
    """Learn, and print what it is worth and the weights."""
    model = MiniLM()
    halves: tuple[list[Asked], list[Asked]] = ([], [])
    for turn in (0, 1):
        for whole in (False, True):
            found = answers(material(turn), model, whole=whole)
            for at, one in enumerate(found):
                halves[at // 2 % 2].append(one)
    total: dict[str, Counter[str]] = {}
    for taught, judged in (halves, halves[::-1]):
        for kind, known in counted(judged, learned(taught)).items():
            total[kind] = total.get(kind, Counter()) + known
    for kind, known in total.items():
        print(f"{kind}: right {known['before']} -> {known['after']} of {known['asked']}")
    for name, weight in zip(NAMES, learned([*halves[0], *halves[1]]), strict=True):
        print(f'        "{name}": {weight:.3f},')


if __name__ == "__main__":
    main()
