"""What tasks carry, kept to a size: nothing is cut without saying so."""

from __future__ import annotations

import json
from typing import Any

from khive_supervisor.errors import InvalidInput
from khive_supervisor.tasks.model import (
    ERROR_LIMIT,
    LOG_LIMIT,
    PAYLOAD_LIMIT,
    PROGRESS_LIMIT,
    RESULT_LIMIT,
)
from khive_supervisor.text import wellformed


def json_text(what: str, value: Any) -> str:
    """A value as JSON that is the same text for equal values; its texts are Unicode.

    Raises:
        InvalidInput: JSON has no such value.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            f"The {what} is not JSON: {error}.",
            hint="Use objects, lists, strings, finite numbers, true, false and null.",
        ) from error
    return wellformed.json_escapes(text)


def payload_text(payload: Any) -> str:
    """A payload as it is stored.

    Raises:
        InvalidInput: not JSON, or too large.
    """
    text = json_text("payload", payload)
    if len(text) > PAYLOAD_LIMIT:
        raise InvalidInput(
            f"The payload has {len(text)} bytes as JSON; a task carries {PAYLOAD_LIMIT} at most.",
            hint="Put what is large into a file, and its path into the payload.",
        )
    return text


def result_text(result: Any) -> str:
    """A result as it is stored; one that is too large becomes its beginning, and a note."""
    text = json_text("result", result)
    if len(text) <= RESULT_LIMIT:
        return text
    # Half: as a string in JSON, quotes and backslashes take twice the room.
    start = text[: RESULT_LIMIT // 2 - 200]
    note = f"The result had {len(text)} bytes as JSON; {RESULT_LIMIT} are kept at most."
    return json_text("result", {"cut": True, "note": note, "beginning": start})


def log_tail(text: str | None) -> str | None:
    """The end of a log; what is missing is said in its first line."""
    if text is None:
        return None
    raw = wellformed.text(text).encode()
    if len(raw) <= LOG_LIMIT:
        return raw.decode("utf-8")
    kept = raw[-LOG_LIMIT:].decode("utf-8", "ignore")
    return f"[{len(raw) - LOG_LIMIT} bytes before this were cut]\n{kept}"


def error_text(text: str | None) -> str | None:
    """An error, its end cut off if it is too long."""
    return None if text is None else _short(text, ERROR_LIMIT)


def progress_text(text: str) -> str:
    """A line of progress, its end cut off if it is too long."""
    return _short(text, PROGRESS_LIMIT)


def _short(text: str, limit: int) -> str:
    text = wellformed.text(text)
    return text if len(text) <= limit else f"{text[:limit]}... [cut, {len(text)} characters]"
