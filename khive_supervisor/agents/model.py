"""What an agent is asked and what it answered, in no agent's own words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor.config.settings.roles import Role
from khive_supervisor.tasks.model import TokenCounts, Usage

#: Characters of an agent's answer that become the result: whatever they are, JSON has room.
TEXT_LIMIT = 128 << 10
#: The name of this memory among an agent's MCP servers.
SERVER = "khive"
#: Lines of what an agent says on stderr that become part of an error.
ERROR_LINES = 8


@dataclass(frozen=True, slots=True)
class Server:
    """What serves this memory to an agent: the command of `attach`, and the variables it needs."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt at a task, as an agent gets it.

    `resume` is the session of an attempt before, if there was one; `new_session` is a UUID for the
    session that begins otherwise, where an agent lets one choose.
    """

    role: Role
    text: str
    server: Server
    resume: str = ""
    new_session: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What to start: the program's arguments, its stdin, and the session if it is known before."""

    arguments: tuple[str, ...]
    stdin: bytes
    session: str = ""


@dataclass(frozen=True, slots=True)
class AgentOutput:
    """How an agent ended, and what it printed within bounds; `cut`: bytes that were left out."""

    code: int
    output: str
    errors: str = ""
    cut: int = 0


@dataclass(frozen=True, slots=True)
class AgentAnswer:
    """What came of it. Without an `error` it is done, and `text` is the result.

    Attributes:
        session: by which it can be resumed; empty if it did not say.
        counted: tokens of the whole session, where the agent counts so; the next attempt's are
            those above.
        final: trying again cannot help.
        lost: there is no such session (any more); a new one can be begun.
        fault: one of `routing.model.FAULTS`, if its service said that it is not available.
        tokens: those of `usage` by what they are paid as, as far as it says.
    """

    text: str = ""
    error: str = ""
    session: str = ""
    usage: Usage | None = None
    counted: int = 0
    final: bool = False
    lost: bool = False
    fault: str = ""
    tokens: TokenCounts = TokenCounts()  # noqa: RUF009 - frozen, so that all may share it


class Format(Protocol):
    """One agent's language: the modules `claude`, `codex` and `plain`."""

    NAME: str

    def call(self, ask: Ask) -> Call:
        """Return how it is started for a task: arguments after the program, stdin, the session."""

    def read(self, said: AgentOutput, counted: int) -> AgentAnswer:
        """Return what its output means; `counted` is what its session had counted before."""


def prompt_of(payload: Any) -> str:
    """Return a task's payload as words for an agent: text, its `prompt`, or else JSON."""
    if payload is None:
        return ""
    if isinstance(payload, str):
        return payload
    prompt = payload.get("prompt") if isinstance(payload, dict) else None
    if isinstance(prompt, str):
        rest = {name: value for name, value in payload.items() if name != "prompt"}
        return prompt + (f"\n\n{_json(rest)}" if rest else "")
    return _json(payload)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def shortened(text: str) -> str:
    """Return an answer as it is kept; what is cut off is said."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[:TEXT_LIMIT]}\n[... {len(text) - TEXT_LIMIT} characters were left out here ...]"


def failed(title: str, said: AgentOutput) -> str:
    """Return the error of an agent that ended without an answer that can be read."""
    how = f"exit code {said.code}" if said.code >= 0 else f"signal {-said.code}"
    what = "printed nothing" if not said.output.strip() else "gave no answer that can be read"
    if said.cut:
        what = f"printed {said.cut} bytes more than are kept, so that its answer cannot be read"
    lines = (said.errors or said.output).strip().splitlines()[-ERROR_LINES:]
    return "\n".join((f"{title} ended with {how} and {what}.", *lines))


def whole(value: Any) -> int:
    """Return a number that somebody else wrote, as a whole one; 0 for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(0, round(value)) if abs(value) < 1e15 else 0
