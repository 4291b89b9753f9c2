"""What is to be looked for when a user says something, and when a command has failed; pure."""

from __future__ import annotations

import re

from khive_supervisor.text.analysis import STOP_WORDS

#: Characters of a prompt that are looked for: what a pasted log is about stands at its beginning.
LONGEST_QUERY = 2000
#: Commands of clients: `/clear`, `!ls`.
_COMMAND = re.compile(r"\s*[/!#]\w+")
#: Words that say something, from which on a prompt can be about what is stored; a name is enough.
FEWEST_WORDS = 2
#: Words of a prompt from which on some of them are in any store by chance.
LONG_PROMPT = 40
#: What people say to an agent that goes on with what it does.
_TALK = """
    again ahead awesome bad beginning begin bye continue correct cool course day done enough exactly
    excellent explain fine finish first go going good got great happy hello help hey hi hm hmm hold
    hour idea keep last later let lets like lgtm little long longer look looks lot maybe mean meant
    minute moment morning much need never nice night no nope now ok okay old one part perfect plan
    please point proceed question quick quickly ready really reasonable redo repeat resume right say
    second see seem sense ship short shorter show slow soon sorry sound sounds start step stop sure
    take talk tell thank thanks thing think though time today tomorrow too try two undo understand
    wait want way well word work works wow wrong yeah yep yes yet next back hand meanwhile
"""
_SAYS_NOTHING = STOP_WORDS | frozenset(_TALK.split())
_WORD = re.compile(r"[^\W_]+")
#: A figure, or a name as code has them.
_NAMED = re.compile(r"\w[./_-]\w|\w_\w|\d|[a-z][A-Z]|`|\b[A-Z]{2,}\b")
#: What tells of why something has failed.
_ERROR = re.compile(
    r"\b(?:[A-Z]\w*(?:Error|Exception)|error|fatal|failed|panic|cannot|not found)\b",
    re.IGNORECASE,
)
#: How the end of an output looks when a command has failed, where no exit code tells.
_FAILURE = re.compile(
    r"^(?:\w+: )*(?:[\w.]*(?:Error|Exception)\b.*:|error(?:\[\w+\])?:|fatal:|panic:|npm err!)"
    r"|^make(?:\[\d+\])?: \*\*\*|^=+ .*\bfailed\b"
    r"|: command not found$|: no such file or directory$",
    re.IGNORECASE,
)
_LAST_LINES = 5
#: Lines of an error's output that are looked for.
_TELLING_LINES = 3
#: Characters of a command that are.
_COMMAND_PART = 200


def prompt_query(prompt: str) -> str:
    """Return what is to be looked for, for a prompt; empty if it can be about nothing stored."""
    text = prompt.strip()[:LONGEST_QUERY]
    telling = {word.lower() for word in _WORD.findall(text)} - _SAYS_NOTHING
    if _COMMAND.match(text) or not telling:
        return ""
    return text if len(telling) >= FEWEST_WORDS or _NAMED.search(text) else ""


def is_long(query: str) -> bool:
    """Return True for a query of so many words that some of them fit anything."""
    return len(_WORD.findall(query)) > LONG_PROMPT


def looks_failed(output: str) -> bool:
    """Return True if an output ends as those of commands do that have failed."""
    lines = [line.strip() for line in output[-LONGEST_QUERY:].splitlines() if line.strip()]
    return any(_FAILURE.search(line) for line in lines[-_LAST_LINES:])


def error_query(command: str, output: str) -> str:
    """Return what is to be looked for when a command has failed; empty if nothing tells of why."""
    lines = [line.strip() for line in output[-LONGEST_QUERY * 4 :].splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.search(line)] or lines
    if not telling:
        return ""
    return "\n".join([command[:_COMMAND_PART], *telling[-_TELLING_LINES:]])[:LONGEST_QUERY]
