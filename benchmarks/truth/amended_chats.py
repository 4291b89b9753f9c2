"""Decisions that a later chat amends, each exchange or each chat a memory: settled, wrong marks.

The chats are in `chats/`: exchanges divided by " // ", of which each is what was asked and, after
" >> ", what was answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.truth.contradictions import REGISTRY, Memory
from khive_supervisor.embed.minilm import MiniLM

HERE = Path(__file__).parent / "chats"
#: Characters of a title: of the first prompt, as clients name their sessions.
TITLE = 160


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat: how it begins, and its exchanges."""

    title: str
    exchanges: Sequence[str]

    @classmethod
    def of(cls, text: str) -> Chat:
        """Return a chat as a line has it."""
        parts = [one.partition(" >> ") for one in text.split(" // ")]
        exchanges = [
            f"user: {asked.strip()}" + (f"\nassistant: {answer.strip()}" if answer else "")
            for asked, _, answer in parts
        ]
        return cls(parts[0][0].strip()[:TITLE], exchanges)


@dataclass(frozen=True, slots=True)
class Amended:
    """A decision, the chat that amends it, an earlier one beside it that holds, and a question."""

    older: Chat
    newer: Chat
    beside: Chat
    question: str

    @property
    def chats(self) -> tuple[Chat, Chat, Chat]:
        """Return the three chats."""
        return self.older, self.newer, self.beside


def lines_of(name: str) -> list[list[str]]:
    """Return the parts of each line."""
    text = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    return [line.split(" | ") for line in text.splitlines() if line]


def amended_chats(name: str) -> list[Amended]:
    """Return what a file has of decisions that are amended."""
    return [
        Amended(Chat.of(older), Chat.of(newer), Chat.of(beside), question)
        for _, older, newer, beside, question in lines_of(name)
    ]


def measure(context: Context) -> list[Row]:
    """The rows of decisions that are amended, all in one store; amendments come last."""
    model = MiniLM()
    return [row(context.work / "amended", model, whole=whole) for whole in (False, True)]


def row(place: Path, model: MiniLM, *, whole: bool) -> Row:
    """Return what becomes of those that judge; `whole`: each chat is one memory."""
    memory, some = Memory(place, model), amended_chats("judged_amended")
    for chat in (*(one.beside for one in some), *(one.older for one in some)):
        _remember(memory, chat, whole)
    for one in some:
        _remember(memory, one.newer, whole)
    answers = [memory.recall(one.question) for one in some]
    settled = sum(map(_is_settled, some, answers))
    amended = {one.older.title for one in some}
    wrong = sum(_wrong(results, amended) for results in answers)
    shown, each = sum(map(len, answers)), "chat" if whole else "exchange"
    return Row(
        what=f"decisions that a later chat amends, each {each} a memory: {len(some)}",
        target="newer first or older marked 95 %; false marks at most 2 %",
        khive=f"{settled} settled; {wrong} of {shown} marked wrongly",
        peers=(),
        met=settled >= 0.95 * len(some) and wrong <= 0.02 * shown,
    )


def _remember(memory: Memory, chat: Chat, whole: bool) -> None:
    for text in ["\n".join(chat.exchanges)] if whole else chat.exchanges:
        memory.now += 60.0
        said = {"content": text, "title": chat.title, "source": f"chat:{chat.title}"}
        REGISTRY.call(memory.context, "memory.remember", said)


def _titles(results: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(one["source"]).removeprefix("chat:") for one in results]


def _is_settled(one: Amended, results: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if the newer chat comes first, or the older one is marked or not shown."""
    order = _titles(results)
    if one.older.title not in order:
        return True
    at = order.index(one.older.title)
    return one.newer.title in order[:at] or "older" in results[at]


def _wrong(results: Sequence[Mapping[str, Any]], amended: Collection[str]) -> int:
    """Return how many chats are marked that hold: those that nothing amends."""
    marked = [result for result in results if "older" in result]
    return sum(title not in amended for title in _titles(marked))
