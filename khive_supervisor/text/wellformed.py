"""Text that is Unicode: what comes from outside is made so once, at the border.

A Python string can hold lone surrogates: half an emoji that a client cut off, a byte of a file name
that is not UTF-8. No encoder takes them, so one of them would make a whole answer unreadable. Each
becomes U+FFFD, the character that Unicode has for what was not a character; two halves that belong
together become the character that they are.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: An escape in JSON text: a whole pair, half a pair, or any other. Outside of strings JSON has no
#: backslash, so this finds every one, and takes no second backslash for a first.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|.)",
    re.DOTALL,
)
#: What makes it worth looking.
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF_BYTES = re.compile(rb"\\u[dD][89a-fA-F]")
#: What readers of lines other than ours take for the end of one, as JSON escapes it.
_LINE_ENDS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def is_text(value: str) -> bool:
    """Return True if a string can be encoded as it is."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def text(value: str) -> str:
    """Return the same text; what is not Unicode in it is replaced."""
    if is_text(value):
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def data(value: Any) -> Any:
    """Return the same JSON value; texts and keys in it that are not Unicode are replaced.

    A value that JSON does not have is returned as it is.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.loads(json_escapes(json.dumps(value)))
    except (TypeError, ValueError, RecursionError):
        return value
    return value


def json_escapes(content: str) -> str:
    r"""JSON text in which every escape is text: half a pair (`\ud83d`) becomes `\ufffd`."""
    return _ESCAPE.sub(_whole, content) if _HALF.search(content) else content


def json_bytes(content: bytes) -> bytes:
    """JSON as it was received, with every escape made text; bytes that are no UTF-8 are left."""
    if not _HALF_BYTES.search(content):
        return content
    try:
        return json_escapes(content.decode()).encode()
    except UnicodeDecodeError:
        return content


def utf8(content: bytes) -> bytes:
    """Bytes that are UTF-8: what is not is replaced; surrogates that are a pair become one."""
    if content.isascii():
        return content
    try:
        content.decode()
    except UnicodeDecodeError:
        try:
            return text(content.decode(errors="surrogatepass")).encode()
        except UnicodeDecodeError:
            return content.decode(errors="replace").encode()
    return content


def json_line(content: bytes) -> bytes:
    """JSON as one line for every reader: what some take for the end of a line is escaped."""
    if content.isascii():
        return content
    for raw, escaped in _LINE_ENDS:
        content = content.replace(raw, escaped)
    return content


def _whole(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape[1] else escape[0]
