"""How many prompts are told something though nothing that is stored concerns them.

    scripts/bench --only hooks-silent --coding DIR --sessions DIR

The store holds all chats of one set of projects, an exchange a memory; the prompts are reports of
bugs of other projects, and what people say to an agent that goes on with what it does.
"""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import cast

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.asked import NOW
from benchmarks.search.coding import exchanges, read, title
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.briefing import tokens
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.factory import in_process
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

#: The share of prompts that is told nothing, at least.
SILENT = 0.95
#: Reports that are asked, and of each how much.
REPORTS, CHARACTERS = 250, 4000
#: What people say while an agent works; with each of the endings.
_TALK = (
    "continue", "yes", "yes please", "ok", "go on", "go ahead", "looks good", "thanks", "perfect",
    "do it", "no, not like that", "try again", "stop", "hm, are you sure?", "what do you think?",
    "and now?", "next", "proceed with the plan", "that's what I meant", "undo that", "great work",
    "explain", "shorter please", "good morning", "I'll be back in an hour", "wait a second",
    "why?", "again, from the beginning", "sounds reasonable", "ship it",
)  # fmt: skip
_ENDINGS = ("", ".", "!", " :)", ", please")


def measure(context: Context) -> list[Row]:
    """The rows of silence; without both sets there is nothing to say."""
    if context.coding is None or context.sessions is None:
        return []
    reports = _reports(context.sessions)[: 50 if context.quick else REPORTS]
    talk = [phrase + ending for phrase in _TALK for ending in _ENDINGS]
    session = _Session(context.work / "hooks-silent", context.coding)
    try:
        told = {name: [one for one in map(session.ask, prompts) if one]
                for name, prompts in (("reports", reports), ("talk", talk))}  # fmt: skip
    finally:
        session.close()
    asked = len(reports) + len(talk)
    spoken = [text for texts in told.values() for text in texts]
    share = 1 - len(spoken) / asked
    return [
        Row(
            what=f"{asked} prompts that concern nothing stored ({len(reports)} reports of other "
            f"projects, {len(talk)} phrases), a store of {session.memories} exchanges",
            target=f"{SILENT:.0%} told nothing",
            khive=f"{share:.1%}; told: {len(told['reports'])} reports, {len(told['talk'])} phrases",
            met=share >= SILENT,
            data={"share": share, "most": max(map(tokens.bound, spoken), default=0)},
        )
    ]


def _reports(directory: Path) -> list[str]:
    lines = (directory / "tasks.jsonl").read_text("utf-8").splitlines()
    return [str(json.loads(line)["problem"])[:CHARACTERS] for line in lines if line]


class _Session:
    """A project's memory, and a client's sessions that are told of it."""

    def __init__(self, place: Path, coding: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        config = from_dict({"store": {"path": str(place / "khive.db")}})
        embedder = in_process(config.embedder)
        self._registry = loading.load()
        self._context = VerbContext(
            config, SessionInfo(id="silent", process="1:1"), socket_path=None,
            make_embedder=lambda: embedder, grant=OPERATOR, wall_clock=lambda: NOW,
        )  # fmt: skip
        self.memories = self._remember(coding)

    def _remember(self, coding: Path) -> int:
        found = [(title(turns), text) for turns in read(coding).chats.values()
                 for text in exchanges(turns)]  # fmt: skip
        for name, text in found:
            self._registry.call(self._context, "memory.remember", {"content": text, "title": name})
        return len(found)

    def ask(self, prompt: str) -> str:
        """Return what a session is told that begins with a prompt."""
        said = json.dumps({"session_id": secrets.token_hex(8), "prompt": prompt})
        args = {"client": "codex", "event": "UserPromptSubmit", "said": said}
        answer = self._registry.call(self._context, "hooks.command", args)
        return cast("str", answer["print"])

    def close(self) -> None:
        self._context.close()
