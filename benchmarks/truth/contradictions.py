"""What disagrees, in pairs written before the rules: shown newer first or marked, and told of.

The pairs are in the files beside this module: a style, the older text, the newer one, a question.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs import loading
from khive_supervisor.redaction import detection
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

HERE = Path(__file__).parent
REGISTRY = loading.load()
#: Texts of a real store that are remembered, and asked for again.
STORED, ASKED = 400, 60


class Memory:
    """A store of memories, with the model, as a session calls it; dates grow by an hour."""

    def __init__(self, place: Path, model: MiniLM) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            if old.is_file():
                old.unlink()
        config = from_dict({"store": {"path": str(place / "khive.db")}})
        self.now = 1_790_000_000.0
        self.context = VerbContext(
            config, SessionInfo(id="bench"), socket_path=None, make_embedder=lambda: model,
            grant=OPERATOR, wall_clock=lambda: self.now,
        )  # fmt: skip

    def remember(self, content: str) -> dict[str, Any]:
        self.now += 3600.0
        return REGISTRY.call(self.context, "memory.remember", {"content": content})

    def recall(self, query: str) -> list[dict[str, Any]]:
        args = {"query": query[:2000], "limit": 10}
        return list(REGISTRY.call(self.context, "memory.recall", args)["results"])


def rows_of(name: str) -> list[list[str]]:
    """Return the columns of a file of pairs."""
    text = (HERE / f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def measure(context: Context) -> list[Row]:
    """The rows of contradictions and notices; real stores and chats where their paths are given."""
    model = MiniLM()
    place = context.work / "truth"
    rows = [
        _contradictions(Memory(place / "pairs", model), "contradicting", "in ten styles"),
        _contradictions(Memory(place / "more", model), "changed", "in twelve styles"),
        _contradictions(Memory(place / "words", model), "other_words", "in quite other words"),
        _contradictions(Memory(place / "daily", model), "everyday", "as day by day brings them"),
        _same(Memory(place / "same", model), "same"),
        _same(Memory(place / "again", model), "everyday_same"),
    ]
    rows.append(_both_hold(Memory(place / "both", model)))
    rows.append(_asked_apart(Memory(place / "asked", model), "both_hold_asked"))
    rows.append(_asked_apart(Memory(place / "apart", model), "everyday_both_hold"))
    for name, texts in _real(context):
        rows.append(_real_store(name, Memory(place / "real", model), texts))
    if context.chats is not None:
        rows.append(_amended(context.chats, place, model))
    return rows


def is_settled(results: Sequence[dict[str, Any]], old: str, new: str) -> bool:
    """Return True if the newer one is first, or the older one marked, or not shown at all."""
    order = [one["content"] for one in results]
    if old not in order:
        return True
    newer_first = new in order and order.index(new) < order.index(old)
    return newer_first or "older" in results[order.index(old)]


def _contradictions(memory: Memory, name: str, how: str) -> Row:
    pairs = rows_of(name)
    told, times = 0, []
    for _, old, new, _ in pairs:
        memory.remember(old)
        began = time.perf_counter()
        answer = memory.remember(new)
        times.append((time.perf_counter() - began) * 1000)
        told += any(one["line"] == old for one in answer.get("related", ()))
    missed = [
        style for style, old, new, query in pairs if not is_settled(memory.recall(query), old, new)
    ]
    shown = len(pairs) - len(missed)
    return Row(
        what=f"contradicting pairs: {len(pairs)} {how}, all in one store",
        target="newer first or older marked 95 %; told at remember 90 %",
        khive=f"{shown} settled, {told} told; remember {Sample(tuple(times)).show('ms')}",
        peers=(),
        met=shown >= 0.95 * len(pairs) and told >= 0.9 * len(pairs),
        notes=(f"missed: {', '.join(missed)}",) if missed else (),
    )


def _same(memory: Memory, name: str) -> Row:
    pairs = rows_of(name)
    told = 0
    for old, new in pairs:
        memory.remember(old)
        answer = memory.remember(new)
        told += any(one["line"] == old for one in answer.get("related", ()))
    return Row(
        what=f"said before in other words: {len(pairs)} pairs",
        target="told at remember 90 %",
        khive=f"{told} told",
        peers=(),
        met=told >= 0.9 * len(pairs),
    )


def _both_hold(memory: Memory) -> Row:
    pairs = rows_of("both_hold")
    told = marked = 0
    for old, new in pairs:
        told += "related" in memory.remember(old)
        told += "related" in memory.remember(new)
    texts = [text for pair in pairs for text in pair]
    for text in texts:
        marked += any("older" in one for one in memory.recall(text))
    return Row(
        what=f"alike, and both hold: {len(pairs)} pairs in one store",
        target="told at most 20 %",
        khive=f"told at {told} of {len(texts)} writes; {marked} of {len(texts)} answers marked",
        peers=(),
        met=told <= 0.2 * len(texts),
    )


def _asked_apart(memory: Memory, name: str) -> Row:
    """What is alike and holds, of which each is asked for: its own comes first, and unmarked."""
    pairs = rows_of(name)
    for one, other, _, _ in pairs:
        memory.remember(one)
        memory.remember(other)
    first = marked = 0
    for one, other, *queries in pairs:
        for query, wanted in zip(queries, (one, other), strict=True):
            results = memory.recall(query)
            first += bool(results) and results[0]["content"] == wanted
            marked += any("older" in found for found in results)
    asked = 2 * len(pairs)
    return Row(
        what=f"alike, and both hold: {asked} questions after one of them",
        target="its own first; answers with a mark at most 2 %",
        khive=f"{first} of {asked} first; {marked} answers with a mark",
        peers=(),
        met=marked <= 0.02 * asked,
    )


def _real(context: Context) -> Iterator[tuple[str, list[str]]]:
    if context.retrieval is not None:
        opener: Callable[..., Any] = gzip.open if context.retrieval.suffix == ".gz" else open
        with opener(context.retrieval, "rt", encoding="utf-8") as file:
            for name, parts in json.load(file).items():
                yield name, [text for part in parts for text in part["docs"]]
    if context.sessions is not None:
        lines = (context.sessions / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
        yield "tasks of sessions", [json.loads(line)["problem"] for line in lines]
    if context.chats is not None:
        yield (
            "chats",
            [text for name, text in _chats(context.chats).items() if "amended" not in name],
        )


def _real_store(name: str, memory: Memory, texts: Sequence[str]) -> Row:
    texts = [text for text in texts if text.strip() and not detection.find(text)][:STORED]
    # Until there is something to be like, nothing could be told.
    told = [("related" in memory.remember(text)) for text in texts][len(texts) // 4 :]
    shown = marked = 0
    for text in texts[:: max(1, len(texts) // ASKED)]:
        results = memory.recall(text)
        shown += len(results)
        marked += sum("older" in one for one in results)
    return Row(
        what=f"a real store: {len(texts)} of {name}",
        target="told at most 20 % of writes; false marks at most 2 %",
        khive=f"told {100 * sum(told) / max(1, len(told)):.0f} %; {marked} of {shown} marked",
        peers=(),
        met=marked <= 0.02 * shown and sum(told) <= 0.2 * len(told),
    )


def _chats(place: Path) -> dict[str, str]:
    with gzip.open(place / "chats.jsonl.gz", "rt", encoding="utf-8") as file:
        found = [json.loads(line) for line in file]
    found.sort(key=lambda one: one["order"])
    return {
        one["id"]: "\n".join(f"{turn['role']}: {turn['text']}" for turn in one["turns"])
        for one in found
    }


def _amended(place: Path, work: Path, model: MiniLM) -> Row:
    """Decisions of real chats that a later chat amends, asked for by what has to be done."""
    chats = _chats(place)
    lines = (place / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
    tasks = [one for one in map(json.loads, lines) if one["source"] == "conversation-amended"]
    memory = Memory(work / "chats", model)
    for text in chats.values():
        memory.remember(text)
    settled = 0
    for task in tasks:
        old, new = (chats[name][:1500] for name in task["gold"])
        settled += is_settled(memory.recall(task["bug_report"]), old, new)
    return Row(
        what=f"amended decisions of chats: {len(tasks)} among {len(chats)}",
        target="newer first or older marked: all",
        khive=f"{settled} of {len(tasks)}",
        peers=(),
        met=settled == len(tasks),
    )
