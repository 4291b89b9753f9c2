"""How much of what the rules take for facts is one, by labels that were made before the rules.

    scripts/bench --only capture-rules --coding DIR --sessions DIR

The labels are in `labels.tsv`; how they were made is in the README beside it. The texts are not: a
label names a sentence by a digest of its words. One half of the conversations was for tuning.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.coding import Turn, read
from khive_supervisor.capture.commands import commands
from khive_supervisor.capture.decisions import decisions
from khive_supervisor.capture.fixes import fixes
from khive_supervisor.store.journal.model import JournalEvent

LABELS = Path(__file__).with_name("labels.tsv")
#: What a label is about: a conversation, a turn of it, and the words, by their digest.
Place = tuple[str, int, str]


def measure(context: Context) -> list[Row]:
    """The row of each half; without the conversations and sessions they say nothing."""
    if context.coding is None or context.sessions is None:
        return []
    found = set(_decided(read(context.coding).chats)) | set(_done(context.sessions))
    return [_row("judge", found), _row("tune", found)]


def _row(half: str, found: set[Place]) -> Row:
    rows = [row for row in _labels() if row["half"] == half]
    right = {_place(row) for row in rows if row["label"] != "none"}
    wrong = {_place(row) for row in rows if row["label"] == "none"}
    taken = len(found & right)
    precision = taken / max(1, taken + len(found & wrong))
    recall = taken / len(right)
    judges = half == "judge"
    return Row(
        f"rules: facts by themselves, half to {half} ({len(rows)} labels)",
        "90 %, recall 50 %" if judges else "",
        f"precision {100 * precision:.1f} %, recall {100 * recall:.1f} %",
        met=(precision >= 0.9 and recall >= 0.5) if judges else None,
    )


def _labels() -> list[dict[str, str]]:
    with LABELS.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _place(row: Mapping[str, str]) -> Place:
    digest = "" if row["unit"] == "fix" else row["digest"]
    return row["id"], int(row["turn"]), digest


def _digest(text: str) -> str:
    words = " ".join(re.findall(r"\w+", text.lower()))
    return hashlib.blake2b(words.encode(), digest_size=5).hexdigest()


def _decided(chats: Mapping[str, Sequence[Turn]]) -> Iterator[Place]:
    """Yield the sentences that are decisions by themselves."""
    for chat, turns in chats.items():
        events = [_spoken(chat, number, turn) for number, turn in enumerate(turns)]
        for finding in decisions(events):
            for sentence in finding.sentences if finding.sure else ():
                yield chat, finding.event, _digest(sentence)


def _spoken(chat: str, number: int, turn: Turn) -> JournalEvent:
    by_user = turn["role"] == "user"
    kind, speaker = ("prompt", "user") if by_user else ("answer", "agent")
    return JournalEvent("bench", chat, kind, speaker, turn["text"], id=number, at=float(number))


def _done(directory: Path) -> Iterator[Place]:
    """Yield the commands that work by themselves, and the fixes."""
    with gzip.open(directory / "sessions.jsonl.gz", "rt", encoding="utf-8") as file:
        for session in map(json.loads, file):
            events = list(_events(session))
            texts = {one.id: one.text for one in events}
            for finding in commands(events):
                for number, text in texts.items():
                    if text in finding.sentences:
                        yield session["id"], number, _digest(text)
            for fix in fixes(events):
                if fix.sure:
                    yield session["id"], fix.event, ""


def _events(session: Mapping[str, Any]) -> Iterator[JournalEvent]:
    found = session["events"]
    for number, (act, seen) in enumerate(pairwise(found)):
        if act["t"] == "act" and seen["t"] == "obs":
            text, code = act.get("cmd") or "", seen.get("rc")
            yield JournalEvent("bench", session["id"], "command", "agent", text, exit_code=code,
                               id=number)  # fmt: skip
            if code:
                yield JournalEvent("bench", session["id"], "error", "tool", seen["out"], id=number)
