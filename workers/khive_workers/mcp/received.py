"""A client's JSON before the SDK sees it: made text, and asking for what is served here.

Some clients send the arguments of a call as the JSON text of them, or an empty list for none. The
SDK refuses that before we see it, so it is mended here.
"""

from __future__ import annotations

import json
import re
from typing import Any

from khive_supervisor.text import wellformed

#: The version whose servers have to take batches. No other has them, and no client sends any but
#: to find out; who asks for it is offered the one before, which its clients know as well.
BATCHED, OFFERED = "2025-03-26", "2024-11-05"
_BATCHED = BATCHED.encode()
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Arguments that are a text or a list; within a text its quotes would be escaped.
_ODD_ARGUMENTS = re.compile(rb'"arguments"\s*:\s*["\[]')
#: An id at the beginning of a request, or at its end, where some clients write it.
_ID = rb'"id"\s*:\s*("(?:[^"\\]|\\.)*"|-?[0-9]{1,18})\s*'
_FIRST = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*|"method"\s*:\s*"[^"\\]*"\s*,\s*)*' + _ID + rb"[,}]"
)
_LAST = re.compile(rb",\s*" + _ID + rb'(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
_METHOD = re.compile(rb'"method"\s*:')
#: Bytes of either end that are looked at for an id.
END = 1024


def received(content: bytes) -> bytes:
    """Return a message as JSON that is text; a client that asks for BATCHED asks for OFFERED.

    What is not JSON is returned as it is: whoever reads it says so.
    """
    content = wellformed.json_bytes(wellformed.utf8(content.removeprefix(_BYTE_ORDER_MARK)))
    if _ODD_ARGUMENTS.search(content):
        content = _with_object(content)
    if _BATCHED not in content or b'"initialize"' not in content:
        return content
    try:
        message = json.loads(content)
        if message["method"] != "initialize" or message["params"]["protocolVersion"] != BATCHED:
            return content
    except (ValueError, RecursionError, LookupError, TypeError):
        return content
    message["params"]["protocolVersion"] = OFFERED
    return json.dumps(message).encode()


def complaint(method: str, params: Any) -> str | None:
    """Return what is wrong with a request that the SDK would refuse without saying why."""
    if method != "tools/call":
        return None
    if not isinstance(params, dict) or not isinstance(params.get("name"), str):
        return (
            'tools/call needs `params` with the `name` of a tool: {"name": ..., "arguments": {}}.'
        )
    arguments = params.get("arguments")
    if arguments is None or isinstance(arguments, dict):
        return None
    return f"The arguments of {params['name'][:80]} must be an object, not {_kind(arguments)}."


def probable_id(beginning: bytes, end: bytes) -> str | int | None:
    """Return the id of a request that cannot be read whole, by how clients write them; or None."""
    beginning, end = beginning[:END], end[-END:]
    if _METHOD.search(beginning) is None:
        return None  # a response: its id is one of ours
    found = _FIRST.match(beginning) or _LAST.search(end)
    try:
        identifier = json.loads(found[1]) if found else None
    except ValueError:
        return None
    return identifier if isinstance(identifier, str | int) else None


def _with_object(content: bytes) -> bytes:
    """The same message; arguments that are the text of an object, or empty, as the object."""
    try:
        message = json.loads(content)
        arguments = message["params"]["arguments"]
        if message["method"] != "tools/call":
            return content
        meant = {} if arguments in ("", []) else json.loads(arguments)
    except (ValueError, RecursionError, LookupError, TypeError):
        return content
    if not isinstance(meant, dict):
        return content
    message["params"]["arguments"] = meant
    return wellformed.json_bytes(json.dumps(message).encode())


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "a text that is not the JSON of one"
    return "a list" if isinstance(value, list) else "a number or truth value"
