"""JSON Lines: an entry a line, as whoever made the file has cut them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import cast

from khive_supervisor.documents.model import (
    TITLE_LIMIT,
    WHOLE,
    DocumentEntry,
    DocumentProblem,
    LeftOut,
)
from khive_supervisor.documents.pieces import pieces
from khive_supervisor.text.plain_json import JsonObject

_FIELDS = frozenset({"content", "text", "title", "tags", "kind", "source"})
Learned = DocumentEntry | LeftOut | DocumentProblem
#: Why a field of an entry is not learned.
OTHER_FIELD = "a field of JSON Lines that is not learned"


def split_jsonl(lines: Iterable[str], source: str) -> Iterator[Learned]:
    """JSON Lines: an object with `content` (or `text`) a line; a bad line is a problem, not an end.

    Other fields than title, tags, kind and source are left out, and counted by name. The line is
    the entry's `locator`: one that is inserted above changes no entry.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _entries(line, source, number)


def _entries(line: str, source: str, number: int) -> Iterator[Learned]:
    data = _read(line)
    why = data if isinstance(data, str) else _fault(data)
    if why or isinstance(data, str):
        yield DocumentProblem(f"{source}:{number}", why)
        return
    content = cast("str", data.get("content", data.get("text")))
    rest = {k: data[k] for k in ("title", "tags", "kind", "source") if data.get(k)}
    if "title" in rest:
        rest["title"] = rest["title"][:TITLE_LIMIT]
    rest.setdefault("source", source)
    rest["locator"] = f"line {number}"
    for piece in [content] if len(content) <= WHOLE else pieces(content):
        yield cast("DocumentEntry", {"content": piece, **rest})
    both = {"text"} if data.get("content") is not None and "text" in data else set()
    for name in sorted(both | data.keys() - _FIELDS):
        yield LeftOut(f"{source}:{number}", OTHER_FIELD, name[:40])


def _read(line: str) -> JsonObject | str:
    """Return the object of a line, or why there is none."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    return data if isinstance(data, dict) else "not an object"


def _fault(data: JsonObject) -> str:
    """Return what is wrong with an object; nothing: it is an entry."""
    content = data.get("content", data.get("text"))
    if not isinstance(content, str) or not content.strip():
        return 'no text under "content" (or "text")'
    wrong = any(not isinstance(data[k], str) for k in ("title", "kind", "source") if data.get(k))
    tags = data.get("tags") or []
    if wrong or not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return "title, kind and source must be texts, tags a list of texts"
    return ""
