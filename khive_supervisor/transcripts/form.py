"""What every client's transcript is read with: a state, a line, and what it tells; pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from khive_supervisor.store.journal.model import JournalEvent, Origin
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject

#: Calls of tools that wait for their result, at most: older ones never get one.
_MOST_PENDING = 64
#: Characters of a command that are kept while it runs.
_COMMAND = 4_000


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool that was called and has not answered yet: its name, and its command or path."""

    tool: str
    text: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptState:
    """What is known of a transcript by the lines before.

    `version` is the client's; `unknown` counts lines of kinds that this release does not know, and
    `lines` all. `flags` are a client's own.
    """

    session: str = ""
    cwd: str = ""
    version: str = ""
    pending: Mapping[str, PendingCall] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    lines: int = 0
    unknown: int = 0

    def called(self, call: str, pending: PendingCall) -> TranscriptState:
        """Return the state with a tool that was called."""
        kept = dict(list(self.pending.items())[-_MOST_PENDING + 1 :])
        kept[call] = replace(pending, text=pending.text[:_COMMAND])
        return replace(self, pending=kept)

    def answered(self, call: str) -> TranscriptState:
        """Return the state without a call that has got its result."""
        if call not in self.pending:
            return self
        return replace(self, pending={k: v for k, v in self.pending.items() if k != call})


#: What a line makes of a state, and the events that it tells of; their project is not known yet.
Told = tuple[TranscriptState, tuple[JournalEvent, ...]]
Reader = Callable[[TranscriptState, JsonObject], Told]


def saved(state: TranscriptState) -> str:
    """Return a state as JSON."""
    calls = {call: [one.tool, one.text, one.path] for call, one in state.pending.items()}
    return json.dumps(
        {
            "session": state.session, "cwd": state.cwd, "version": state.version, "calls": calls,
            "flags": sorted(state.flags), "lines": state.lines, "unknown": state.unknown,
        }
    )  # fmt: skip


def restored(text: str) -> TranscriptState:
    """Return the state that was saved; a new one if it cannot be read."""
    try:
        data = json.loads(text)
        return TranscriptState(
            str(data["session"]), str(data["cwd"]), str(data["version"]),
            {call: PendingCall(*map(str, one)) for call, one in data["calls"].items()},
            frozenset(data["flags"]), int(data["lines"]), int(data["unknown"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        return TranscriptState()


def line_of(data: bytes) -> JsonObject | None:
    """Return the object of a line; None if it is none."""
    try:
        found = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def moment(value: Any) -> float:
    """Return a time in ISO 8601 as unix seconds; 0 if it is none."""
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def text_of(value: Any) -> str:
    """Return a text, wherever it stands among the blocks of a message."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [one.get("text") for one in value if isinstance(one, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def mapping(value: Any) -> JsonObject:
    """Return an object, an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Telling:
    """Makes events of one line: of one client, one session, one time."""

    client: str
    session: str
    at: float

    def event(
        self, kind: str, speaker: str, text: str = "", path: str = "",
        exit_code: int | None = None, tool: str = "",
    ) -> JournalEvent:  # fmt: skip
        """Return an event that a transcript tells of."""
        said, where, used = map(wellformed.text, (text, path, tool))
        return JournalEvent(
            self.client, wellformed.text(self.session), kind, speaker, said, where, exit_code,
            used, self.at, origin=Origin.TRANSCRIPT,
        )  # fmt: skip
