"""What is to be looked for when a user says something, and when a command has failed; pure."""

from __future__ import annotations

import re

#: Characters of a prompt that are looked for: what a pasted log is about stands at its beginning.
LONGEST_QUERY = 2000
#: Commands of clients: `/clear`, `!ls`.
_COMMAND = re.compile(r"\s*[/!#]\w+")
#: What tells of why something has failed.
_ERROR = re.compile(
    r"\b(?:[A-Z]\w*(?:Error|Exception)|error|fatal|failed|panic|cannot|not found)\b",
    re.IGNORECASE,
)
#: Lines of an error's output that are looked for.
_TELLING_LINES = 3
#: Characters of a command that are.
_COMMAND_PART = 200


def prompt_query(prompt: str) -> str:
    """Return what is to be looked for, for a prompt; empty if it is none of the model's."""
    text = prompt.strip()
    if not any(map(str.isalnum, text)) or _COMMAND.match(text):
        return ""
    return text[:LONGEST_QUERY]


def error_query(command: str, output: str) -> str:
    """Return what is to be looked for when a command has failed; empty if nothing tells of why."""
    lines = [line.strip() for line in output[-LONGEST_QUERY * 4 :].splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.search(line)] or lines
    if not telling:
        return ""
    return "\n".join([command[:_COMMAND_PART], *telling[-_TELLING_LINES:]])[:LONGEST_QUERY]
