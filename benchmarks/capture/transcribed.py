"""Chats as the clients would have written them down: Claude Code's form and Codex's, in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search.coding import Turn
from khive_supervisor.transcripts import claude, codex
from khive_supervisor.transcripts.reading import TranscriptFile

#: Seconds between two turns.
_BETWEEN = 30.0


def written(
    place: Path, number: int, chat: str, turns: Sequence[Turn], cwd: str, begun: float
) -> TranscriptFile:
    """Write a chat as a transcript of the client whose turn it is; return it."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{chat}.jsonl"
    lines = (_claude if number % 2 else _codex)(chat, turns, cwd, begun)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    if number % 2:
        return TranscriptFile(claude.CLIENT, str(path), claude.read)
    return TranscriptFile(codex.CLIENT, str(path), codex.read)


def _times(turns: Sequence[Turn], begun: float) -> Iterator[tuple[Turn, str]]:
    for number, turn in enumerate(turns):
        at = time.gmtime(begun + number * _BETWEEN)
        yield turn, time.strftime("%Y-%m-%dT%H:%M:%S.000Z", at)


def _claude(
    chat: str, turns: Sequence[Turn], cwd: str, begun: float
) -> Iterator[Mapping[str, Any]]:
    for turn, at in _times(turns, begun):
        by_user = turn["role"] == "user"
        content: Any = turn["text"] if by_user else [{"type": "text", "text": turn["text"]}]
        yield {
            "type": "user" if by_user else "assistant", "isSidechain": False, "sessionId": chat,
            "cwd": cwd, "version": "2.1.197", "timestamp": at,
            "message": {"role": turn["role"], "content": content},
        }  # fmt: skip


def _codex(chat: str, turns: Sequence[Turn], cwd: str, begun: float) -> Iterator[Mapping[str, Any]]:
    meta = {"id": chat, "cwd": cwd, "cli_version": "0.171.0"}
    yield {"type": "session_meta", "payload": meta}
    for turn, at in _times(turns, begun):
        by_user = turn["role"] == "user"
        block = {"type": "input_text" if by_user else "output_text", "text": turn["text"]}
        payload = {"type": "message", "role": turn["role"], "content": [block]}
        yield {"type": "response_item", "timestamp": at, "payload": payload}
