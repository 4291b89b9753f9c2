"""`<private>` spans, cut out of a text before anything else sees it; pure."""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)private(?:\s[^<>]*)?>", re.IGNORECASE)


def without_private(text: str) -> str:
    """Return a text without its private spans; they may be nested, and one unclosed has no end.

    White space that is left on both sides of a span becomes one. A closing tag alone stays.
    """
    if "<" not in text or "private" not in text.lower():
        return text
    kept: list[str] = []
    depth = start = 0
    for tag in _TAG.finditer(text):
        if not tag[1]:
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth += 1
        elif depth:
            depth -= 1
            start = tag.end()
    if depth == 0:
        kept.append(text[start:])
    return _joined(kept) if len(kept) > 1 or depth else text


def _joined(parts: list[str]) -> str:
    joined = parts[0]
    for part in parts[1:]:
        joined += part.lstrip(" \t") if joined.endswith((" ", "\t", "\n")) else part
    return joined
