"""Codex: `codex exec --json`, which prints an event on each line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from khive_supervisor.agents.model import (
    SERVER,
    AgentAnswer,
    AgentOutput,
    Ask,
    Call,
    failed,
    shortened,
    whole,
)
from khive_supervisor.config.settings.values import quoted
from khive_supervisor.tasks.model import TokenCounts, Usage
from khive_supervisor.text.plain_json import JsonObject

NAME = "codex"
TITLE = "Codex"
#: What it says on stderr about a session that is not there.
_LOST = "no rollout found"
#: Seconds that it may wait for this memory, which may have to be started first.
STARTUP = 60
_STATUS = re.compile(r"\bstatus (\d{3})\b")
#: Answers of its model's service that the same request would get again.
_FINAL = frozenset({"400", "401", "402", "403", "404", "413", "422"})


def call(ask: Ask) -> Call:
    """Return its call: settings are overridden on the command line; no file is touched.

    It waits for this memory (`required`): otherwise it would begin without its tools if they are
    not there within a second.
    """
    given = ask.role.handler.agent[1:]
    arguments = [*given] if "exec" in given or "e" in given else [*given, "exec"]
    arguments += ["--json", "--skip-git-repo-check"]
    if ask.role.model:
        arguments += ["-m", ask.role.model]
    for name, value in _settings(ask).items():
        arguments += ["-c", f"{name}={value}"]
    if ask.resume:
        arguments += ["resume", ask.resume]
    return Call((*arguments, "-"), ask.text.encode("utf-8", "replace"), ask.resume)


def _settings(ask: Ask) -> dict[str, str]:
    server = f"mcp_servers.{SERVER}"
    settings = {
        f"{server}.command": quoted(ask.server.argv[0]),
        f"{server}.args": _list(ask.server.argv[1:]),
        f"{server}.env": _table(ask.server.environment),
        f"{server}.required": "true",
        f"{server}.startup_timeout_sec": str(STARTUP),
        # Otherwise it asks before a tool that writes, and there is nobody to answer.
        f"{server}.default_tools_approval_mode": quoted("approve"),
    }
    if ask.role.prompt:
        settings["developer_instructions"] = quoted(ask.role.prompt)
    return settings


def _list(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(quoted(item) for item in items) + "]"


def _table(values: Any) -> str:
    return "{" + ", ".join(f"{quoted(n)} = {quoted(v)}" for n, v in values.items()) + "}"


def read(said: AgentOutput, counted: int) -> AgentAnswer:
    """Return what its events say; its count is of the whole session, also of a resumed one."""
    session, text, error, ended = "", "", "", False
    tokens = TokenCounts()
    for event in _events(said.output):
        kind = event.get("type")
        item = event.get("item")
        if kind == "thread.started" and isinstance(event.get("thread_id"), str):
            session = event["thread_id"]
        elif kind == "item.completed" and isinstance(item, dict):
            if item.get("type") == "agent_message" and isinstance(item.get("text"), str):
                text = item["text"]
        elif kind == "turn.completed":
            ended = True
            found = _tokens(event.get("usage"))
            tokens = found if found.total else tokens
        elif kind == "error":
            error = str(event.get("message", ""))
        elif kind == "turn.failed":
            ended = False
            error = _message(event.get("error")) or error or "it did not say why"
    total = tokens.total
    usage = Usage(tokens=total - counted if total >= counted else total) if total else None
    known = AgentAnswer(session=session, usage=usage, counted=total or counted)
    if usage is not None:  # of a session that went on, its part of each kind
        known = replace(known, tokens=tokens.scaled(usage.tokens / total))
    if said.code == 0 and ended and text.strip():
        return replace(known, text=shortened(text))
    if not session and _LOST in said.errors:
        return AgentAnswer(error=f"{TITLE} does not know the session any more.", lost=True)
    if said.code == 0 and ended:
        return replace(known, error=f"{TITLE} ended without a word.")
    status = _STATUS.search(error)
    final = bool(status and status[1] in _FINAL)
    return replace(
        known, error=f"{TITLE} failed: {error}" if error else failed(TITLE, said), final=final
    )


def thread_in(output: str) -> str:
    """Return the session that a beginning of its output names; empty while it names none."""
    for event in _events(output):
        if event.get("type") == "thread.started":
            return str(event.get("thread_id") or "")
    return ""


def _events(output: str) -> Iterator[JsonObject]:
    """Every line that is an event; a wrapper may print others between them."""
    for line in output.split("\n"):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _tokens(usage: object) -> TokenCounts:
    """Of input, of that what came from a cache, and of output, reasoning included."""
    if not isinstance(usage, dict):
        return TokenCounts()
    everything = whole(usage.get("input_tokens"))
    cached = min(whole(usage.get("cached_input_tokens")), everything)
    return TokenCounts(everything - cached, cached, whole(usage.get("output_tokens")))


def _message(error: object) -> str:
    return str(error.get("message", "")) if isinstance(error, dict) else ""
