"""What of a report may be shown to others: numbers, and words of a few kinds. Pure.

What is not known to be harmless is not shown; of a text that is left out its length is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from khive_supervisor.redaction import detection
from khive_supervisor.text import wellformed

#: Keys whose values are words that programs choose from few: never what somebody has written.
SHOWN = frozenset({
    "arm", "budget", "code", "digest", "event", "exit", "generation", "kind", "last_exit", "level",
    "logger", "model", "name", "next_build", "outcome", "phase", "pid", "policy", "process",
    "release", "role", "state", "status", "ts", "unit", "verb", "version", "window", "worker_start",
})  # fmt: skip
#: What such a word looks like; of some keys it is a few words.
_WORD, _WORDS = re.compile(r"[\w.:+-]{0,64}"), re.compile(r"[\w.:+ -]{0,40}")
_SPACED = frozenset({"exit", "last_exit", "state"})
#: What a key looks like that is no text of somebody's.
_KEY = re.compile(r"[\w.:|,\[\] -]{0,120}")
#: The shortest value of the configuration or the environment that is looked for in texts.
SHORTEST = 4
#: Words of the names of environment variables that hold secrets.
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "DSN", "URL")


def masked(value: object, key: str = "") -> object:
    """Return data with everything left out that somebody may have written."""
    if isinstance(value, Mapping):
        return {_key(str(name)): masked(one, str(name)) for name, one in value.items()}
    if isinstance(value, str):
        return value if key in SHOWN and _harmless(value, key) else left_out(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [masked(one, key) for one in value]
    return value if isinstance(value, bool | int | float) or value is None else left_out(value)


def left_out(value: object) -> str:
    """Return what is said in the place of a text."""
    count = len(value) if isinstance(value, str) else len(str(value))
    return f"({count} characters)" if count else ""


def _key(name: str) -> str:
    return name if _KEY.fullmatch(name) and not detection.find(name) else left_out(name)


def _harmless(text: str, key: str) -> bool:
    pattern = _WORDS if key in _SPACED else _WORD
    return pattern.fullmatch(text) is not None and not detection.find(text)


def log_line(line: str) -> str:
    """Return a record of the log without texts; of what is no record, its length."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return left_out(line)
    if not isinstance(record, dict):
        return left_out(line)
    return json.dumps(masked(record), ensure_ascii=True)


def setting(value: object, choices: Collection[str]) -> object:
    """Return the value of a setting that was set: numbers, and what is one of few."""
    return value if isinstance(value, str) and value in choices else masked(value)


def texts_in(value: object) -> Iterable[str]:
    """Give all texts in data, keys left aside."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from texts_in(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from texts_in(one)


def told_by_environment(environ: Mapping[str, str]) -> Iterable[str]:
    """Give the values of variables that are named as secrets are."""
    for name, value in environ.items():
        if any(word in name.upper() for word in _SECRET):
            yield value


def scrubbed(text: str, values: Iterable[str], home: str) -> str:
    """Return a sentence of our own without what was set by somebody, and without secrets."""
    text = wellformed.text(text)
    for value in sorted({one for one in values if len(one) >= SHORTEST}, key=len, reverse=True):
        text = text.replace(value, "(set)")
    if len(home) > 1:
        text = text.replace(home, "~")
    return detection.masked(text, detection.find(text))
