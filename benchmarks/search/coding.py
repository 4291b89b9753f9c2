"""Is the chat in which something was decided found by a report of the bug that follows from it.

    scripts/bench --only coding --coding DIR

Each chat is remembered as agents would: an exchange (what was asked, with the answers to it) is a
memory, its source the chat, its title how the chat begins, a day after the chat before. A decision
is asked for with the chats of its siblings (tasks of the same report) forgotten.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import apsw

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import NOW, KnownVectors
from benchmarks.search.retrieval import Vectors
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

REGISTRY = loading.load()
#: Places of the answer that count.
FIRST, FIVE = 1, 5
#: Characters of a title: of the first prompt, as clients name their sessions.
TITLE = 160
DAY, MINUTE = 86_400.0, 60.0


class Turn(TypedDict):
    """What one said in a chat."""

    role: str
    text: str


class Task(TypedDict):
    """A report of a bug, and the chats in which it was decided what to do, older first."""

    id: str
    source: str
    bug_report: str
    gold: list[str]


@dataclass(frozen=True, slots=True)
class Decisions:
    """Tasks that a chat answers, and the turns of all chats, oldest first."""

    tasks: Sequence[Task]
    chats: Mapping[str, Sequence[Turn]]

    def siblings(self, task: Task) -> set[str]:
        """Return the chats of the other tasks with the same report."""
        same = (one for one in self.tasks if one["bug_report"] == task["bug_report"])
        return {chat for one in same for chat in one["gold"]} - {*task["gold"]}


@dataclass(frozen=True, slots=True)
class Places:
    """Where the chats of each kind of task were found: from 1, None where not at all."""

    kinds: dict[str, list[int | None]] = field(default_factory=dict)

    def add(self, kind: str, place: int | None) -> None:
        """Take in where a chat was found."""
        self.kinds.setdefault(kind, []).append(place)

    def within(self, kind: str, most: int) -> int:
        """Return how many were found among the first `most`."""
        return sum(1 for one in self.kinds.get(kind, ()) if one is not None and one <= most)

    def shown(self, kind: str) -> str:
        """Return both counts in words."""
        return f"hit@1 {self.within(kind, FIRST)}, hit@5 {self.within(kind, FIVE)}"


def read(directory: Path) -> Decisions:
    """Read tasks.jsonl and chats.jsonl.gz."""
    tasks = [
        json.loads(line)
        for line in (directory / "tasks.jsonl").read_text("utf-8").split("\n")
        if line
    ]
    with gzip.open(directory / "chats.jsonl.gz", "rt", encoding="utf-8") as file:
        chats = sorted((json.loads(line) for line in file), key=lambda chat: int(chat["order"]))
    return Decisions([one for one in tasks if one["gold"]], {c["id"]: c["turns"] for c in chats})


def exchanges(turns: Sequence[Turn]) -> list[str]:
    """Return each prompt of a chat with the answers to it."""
    found: list[list[str]] = []
    for turn in turns:
        if turn["role"] == "user" or not found:
            found.append([])
        found[-1].append(f"{turn['role']}: {turn['text']}")
    return ["\n".join(one) for one in found]


def title(turns: Sequence[Turn]) -> str:
    """Return how a chat begins."""
    return " ".join(turns[0]["text"].split())[:TITLE]


class Memory:
    """A store of chats, as an agent's session calls it."""

    def __init__(self, place: Path, embedder: KnownVectors) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for old in place.glob("khive.db*"):
            if old.is_file():
                old.unlink()
        self.now = NOW
        self.ids: dict[str, list[str]] = {}
        self._context = VerbContext(
            from_dict({"store": {"path": str(place / "khive.db")}}),
            SessionInfo(id="coding"),
            socket_path=None,
            make_embedder=lambda: embedder,
            grant=OPERATOR,
            wall_clock=lambda: self.now,
        )

    def call(self, verb: str, args: Mapping[str, object]) -> Any:
        """Return what a verb answers."""
        return REGISTRY.call(self._context, verb, dict(args))

    def remember(self, chat: str, turns: Sequence[Turn]) -> None:
        """Remember each exchange of a chat."""
        self.now += DAY
        for text in exchanges(turns):
            self.now += MINUTE
            said = {"content": text, "title": title(turns), "source": f"chat:{chat}"}
            self.ids.setdefault(chat, []).append(self.call("memory.remember", said)["id"])

    def recall(self, report: str, without: set[str]) -> Sequence[Mapping[str, Any]]:
        """Return the results for a report while some chats are forgotten."""
        ids = [one for chat in sorted(without) for one in self.ids[chat]]
        if ids:
            self.call("memory.forget", {"ids": ids})
        results: Sequence[Mapping[str, Any]] = self.call("memory.recall", {"query": report})[
            "results"
        ]
        if ids:
            self.call("memory.restore", {"ids": ids})
        return results


def measure(context: Context) -> list[Row]:
    """The rows of decisions; without their chats they say nothing."""
    if context.coding is None:
        return []
    decisions = read(context.coding)
    known = KnownVectors(Vectors(context.work / "quality"))
    known.know(_embedded(decisions))
    memory = Memory(context.work / "coding", known)
    for chat, turns in decisions.chats.items():
        memory.remember(chat, turns)
    found, plain, settled, shown, wrong = Places(), Places(), 0, 0, 0
    for task in decisions.tasks:
        without = decisions.siblings(task)
        results = memory.recall(task["bug_report"], without)
        order = _chats([str(one["source"]) for one in results])
        found.add(task["source"], _place(order, task["gold"][-1]))
        plain.add(task["source"], _place(plain_order(decisions, task, without), task["gold"][-1]))
        if len(task["gold"]) > 1:
            settled += _settled(results, *task["gold"])
        shown += len(results)
        wrong += _wrongly_marked(results, decisions)
    amended = _amended(decisions, plain, settled)
    return [_decided(decisions, found, plain), amended, _marked(shown, wrong)]


def _embedded(decisions: Decisions) -> Iterator[str]:
    """Yield every text whose vector is needed."""
    for turns in decisions.chats.values():
        yield from (f"{title(turns)}\n{text}" for text in exchanges(turns))
    yield from (task["bug_report"] for task in decisions.tasks)


def _chats(sources: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(source.removeprefix("chat:") for source in sources))


def _place(order: Sequence[str], chat: str) -> int | None:
    return order.index(chat) + 1 if chat in order else None


def _settled(results: Sequence[Mapping[str, Any]], old: str, new: str) -> bool:
    """Return True if the newer chat comes first, or the older one's first memory is marked."""
    order = [str(one["source"]).removeprefix("chat:") for one in results]
    if old not in order:
        return True
    at = order.index(old)
    return new in order[:at] or "older" in results[at]


def _wrongly_marked(results: Sequence[Mapping[str, Any]], decisions: Decisions) -> int:
    """Return how many chats are marked that no later one amends."""
    amended = {task["gold"][0] for task in decisions.tasks if len(task["gold"]) > 1}
    marked = _chats([str(one["source"]) for one in results if "older" in one])
    return sum(chat not in amended for chat in marked)


def plain_order(decisions: Decisions, task: Task, without: set[str]) -> list[str]:
    """Return what plain full text finds in whole chats, best first."""
    database = apsw.Connection(":memory:")
    database.execute(
        "CREATE VIRTUAL TABLE chats USING fts5(name UNINDEXED, text, tokenize='porter')"
    )
    for chat, turns in decisions.chats.items():
        if chat not in without:
            text = "\n".join(turn["text"] for turn in turns)
            database.execute("INSERT INTO chats VALUES (?, ?)", (chat, text))
    words = dict.fromkeys(re.findall(r"\w{3,}", task["bug_report"].lower()))
    asked = " OR ".join(f'"{word}"' for word in words)
    rows = database.execute("SELECT name FROM chats WHERE text MATCH ? ORDER BY rank", (asked,))
    return [str(name) for (name,) in rows]


def _decided(decisions: Decisions, found: Places, plain: Places) -> Row:
    kind, count = "conversation", len(found.kinds["conversation"])
    first, five = found.within(kind, FIRST), found.within(kind, FIVE)
    return Row(
        what=f"the chat of a decision by the report of a bug, {count} among {len(decisions.chats)}",
        target=f"hit@1 and hit@5: {count} of {count}",
        khive=found.shown(kind),
        peers=(f"FTS5 over whole chats: {plain.shown(kind)}",),
        met=first == five == count,
        data={"places": found.kinds, "plain": plain.kinds},
    )


def _amended(decisions: Decisions, plain: Places, settled: int) -> Row:
    kind = "conversation-amended"
    count = sum(1 for task in decisions.tasks if task["source"] == kind)
    return Row(
        what=f"decisions that a later chat has amended, {count}",
        target="the newer first, or the older marked: all",
        khive=f"{settled} of {count}",
        peers=(f"FTS5 over whole chats: the newer first {plain.within(kind, FIRST)}",),
        met=settled == count,
    )


def _marked(shown: int, wrong: int) -> Row:
    return Row(
        what=f"chats that nothing amends among {shown} results: marked as older",
        target="at most 2 %",
        khive=f"{wrong}",
        peers=(),
        met=wrong <= 0.02 * shown,
    )
