"""Claude Code: `claude -p --output-format json`, which prints one JSON document at its end."""

from __future__ import annotations

import json
from collections.abc import Iterable

from khive_supervisor.agents.model import (
    SERVER,
    AgentAnswer,
    AgentOutput,
    Ask,
    Call,
    Server,
    failed,
    shortened,
    whole,
)
from khive_supervisor.routing import faults
from khive_supervisor.tasks.model import TokenCounts, Usage
from khive_supervisor.text.plain_json import JsonObject

NAME = "claude"
TITLE = "Claude Code"
#: What it says on stderr, without JSON, about a session that is not there.
_LOST = "No conversation found with session ID"
#: Answers of its model's service that the same request would get again.
_FINAL = (400, 401, 402, 403, 404, 413, 422)
#: Micro-dollars in one.
_MICRO = 1_000_000
_TOKENS = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
_MODEL_TOKENS = (
    "inputTokens",
    "cacheCreationInputTokens",
    "cacheReadInputTokens",
    "outputTokens",
)


def call(ask: Ask) -> Call:
    """Return its call: the role's arguments come first, so that none of ours swallows them."""
    given = ask.role.handler.agent[1:]
    arguments = [*given]
    if not {"-p", "--print"} & set(given):
        arguments.append("-p")
    arguments += ["--output-format", "json"]
    arguments += ["--mcp-config", json.dumps({"mcpServers": {SERVER: _server(ask.server)}})]
    arguments.append("--strict-mcp-config")
    if ask.role.model:
        arguments += ["--model", ask.role.model]
    if ask.role.prompt:
        arguments += ["--append-system-prompt", ask.role.prompt]
    arguments += ["--allowedTools", f"mcp__{SERVER}", *ask.role.tools]
    if ask.resume:
        arguments += ["--resume", ask.resume]
    elif ask.new_session:
        arguments += ["--session-id", ask.new_session]
    text = ask.text.encode("utf-8", "replace")
    return Call(tuple(arguments), text, ask.resume or ask.new_session)


def _server(server: Server) -> dict[str, object]:
    return {
        "type": "stdio",
        "command": server.argv[0],
        "args": list(server.argv[1:]),
        "env": dict(server.environment),
        # Without it the tools are behind a search, known to the model by name only.
        "alwaysLoad": True,
    }


def read(said: AgentOutput, counted: int) -> AgentAnswer:  # noqa: ARG001 - it counts each run by itself
    """Return what its result says, or what is wrong with it."""
    found = _document(said.output)
    if found is None:
        if _LOST in said.errors:
            return AgentAnswer(error=f"{TITLE} does not know the session any more.", lost=True)
        return AgentAnswer(error=failed(TITLE, said))
    session, text = _text(found, "session_id"), _text(found, "result")
    usage, tokens = _usage(found), _tokens(found)
    subtype = found.get("subtype")
    if found.get("is_error") or subtype != "success" or said.code:
        final = found.get("api_error_status") in _FINAL
        wrong, fault = _error(found, text, said), faults.of_status(found.get("api_error_status"))
        return AgentAnswer(
            error=wrong, session=session, usage=usage, final=final, fault=fault, tokens=tokens
        )
    if not text.strip():
        return AgentAnswer(error=f"{TITLE} ended without a word.", session=session, usage=usage)
    return AgentAnswer(shortened(text), session=session, usage=usage, tokens=tokens)


def _text(found: JsonObject, name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _document(output: str) -> JsonObject | None:
    """Return the result among what was printed: alone, in a list, or on a line among others."""
    for text in (output, *reversed(output.splitlines())):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        for item in reversed(found if isinstance(found, list) else [found]):
            if isinstance(item, dict) and item.get("type") == "result":
                return item
    return None


def _error(found: JsonObject, text: str, said: AgentOutput) -> str:
    errors = found.get("errors")
    listed = [str(error) for error in errors] if isinstance(errors, list) else []
    words = text or "\n".join(listed)
    if not words:
        return failed(f"{TITLE} ({found.get('subtype')})", said)
    return f"{TITLE} failed ({found.get('subtype')}): {words}"


def _usage(found: JsonObject) -> Usage:
    """Of all its models, those of the agents that it started included, where it says so."""
    cost = found.get("total_cost_usd")
    if isinstance(cost, bool) or not isinstance(cost, int | float):
        cost = 0
    return Usage(whole(cost * _MICRO), _tokens(found).total)


def _tokens(found: JsonObject) -> TokenCounts:
    models = found.get("modelUsage")
    by_model = list(models.values()) if isinstance(models, dict) else []
    summed = _counts(by_model, _MODEL_TOKENS)
    return summed if summed.total else _counts([found.get("usage")], _TOKENS)


def _counts(usages: Iterable[object], names: tuple[str, ...]) -> TokenCounts:
    """Return what usages say under the names of input, what was cached of it anew, and so on."""
    said = [one for one in usages if isinstance(one, dict)]
    fresh, written, cached, output = (sum(whole(one.get(name)) for one in said) for name in names)
    return TokenCounts(fresh + written, cached, output)
