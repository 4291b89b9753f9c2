"""What a call of a batch says of the answers before it: `$prev.id`, `$2.path.0.id`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from khive_supervisor.errors import InvalidInput

_REFERENCE = re.compile(r"\$(prev|[1-9][0-9]{0,2})((?:\.[A-Za-z0-9_]+)*)")
#: What an answer is taken for that is named as a whole, the first that it has.
_NAMES = ("id", "task", "run")

Answers = Sequence[Mapping[str, Any]]


def resolved(value: Any, answers: Answers) -> Any:
    """Return arguments with references in the place of what they stand for, however deep.

    A text that begins with two dollar signs is the same text with one.

    Raises:
        InvalidInput: a reference to no answer before it, or to nothing in one.
    """
    if isinstance(value, dict):
        return {name: resolved(one, answers) for name, one in value.items()}
    if isinstance(value, list):
        return [resolved(one, answers) for one in value]
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    if value.startswith("$$"):
        return value[1:]
    found = _REFERENCE.fullmatch(value)
    return value if found is None else _followed(value, found[1], found[2], answers)


def _followed(text: str, which: str, path: str, answers: Answers) -> Any:
    number = len(answers) if which == "prev" else int(which)
    if not 1 <= number <= len(answers):
        raise InvalidInput(
            f"{text} names no call before this one.",
            hint="$prev is the answer before, $1 the first one; $$ at the beginning is a dollar.",
        )
    found: Any = answers[number - 1]
    names = path.split(".")[1:] or [next((one for one in _NAMES if one in found), "id")]
    for place, name in enumerate(names):
        known = found
        found = _part(found, name)
        if found is None:
            raise _nothing(text, ".".join(names[:place]), known)
    return found


def _part(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    if isinstance(value, list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return None


def _nothing(text: str, before: str, value: Any) -> InvalidInput:
    where = f"at {before}" if before else "in that answer"
    if isinstance(value, Mapping):
        return InvalidInput(
            f"{text} stands for nothing.", hint=f"There is {where}: {', '.join(value)}."
        )
    if isinstance(value, list):
        return InvalidInput(
            f"{text} stands for nothing.", hint=f"There are {len(value)} {where}, from 0."
        )
    return InvalidInput(f"{text} stands for nothing.", hint=f"What is {where} has no parts.")
