"""Documents as entries: text, Markdown and JSON Lines cut into pieces that can be found.

Pure but for reading; a piece is as long as the embedder can take in (about 180 words), ends at a
paragraph where it can, and carries the headings that it stands under as its title.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

#: Characters of a piece: about what the bundled model takes in (256 word pieces).
PIECE = 1200
#: A piece shorter than this is joined to the next of the same section.
SMALL = 200
#: Characters of a title.
TITLE_LIMIT = 300
#: A JSON Lines entry is kept whole up to here: who made it has cut it already.
WHOLE = 16_000

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"\s*(```|~~~)")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_PARAGRAPHS = re.compile(r"\n\s*\n")
_FIELDS = frozenset({"content", "text", "title", "tags", "kind", "source"})

#: What is read from a folder, and as what.
SUFFIXES = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".mdx": "markdown",
    ".txt": "text",
    ".text": "text",
    ".rst": "text",
    ".adoc": "text",
    ".org": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be learned, and why; the rest goes on."""

    source: str
    why: str


Entry = dict[str, Any]


def split_text(text: str, source: str, title: str) -> Iterator[Entry]:
    """Plain text, cut at paragraphs."""
    for piece in pieces(text):
        yield {"content": piece, "title": title[:TITLE_LIMIT], "source": source}


def split_markdown(text: str, source: str, title: str) -> Iterator[Entry]:
    """Markdown, cut at headings and then at paragraphs; headings become the title."""
    for trail, body in sections(_FRONT_MATTER.sub("", text.replace("\r\n", "\n"))):
        headings = " > ".join(trail) or title
        for piece in pieces(body):
            yield {"content": piece, "title": headings[:TITLE_LIMIT], "source": source}


def sections(text: str) -> Iterator[tuple[list[str], str]]:
    """The sections of Markdown: the headings above each, from the outermost, and its text.

    A `#` inside a fenced code block is no heading.
    """
    trail: list[tuple[int, str]] = []
    body: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1] == fence):
            fence = "" if fence else mark[1]
        heading = None if fence else _HEADING.match(line)
        if heading is None:
            body.append(line)
            continue
        if any(part.strip() for part in body):
            yield [name for _, name in trail], "\n".join(body)
        body = []
        level = len(heading[1])
        trail = [*(entry for entry in trail if entry[0] < level), (level, heading[2])]
    if any(part.strip() for part in body):
        yield [name for _, name in trail], "\n".join(body)


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    """A text in pieces of about `size` characters: whole paragraphs where possible."""
    piece = ""
    for paragraph in _PARAGRAPHS.split(text.strip()):
        for part in _cut(paragraph.strip("\n"), size):
            if piece and len(piece) + len(part) > size and len(piece) >= SMALL:
                yield piece
                piece = ""
            piece = f"{piece}\n\n{part}" if piece else part
    if piece.strip():
        yield piece


def _cut(paragraph: str, size: int) -> Iterator[str]:
    """A paragraph that is too long, cut after a line, a sentence or a word."""
    while len(paragraph) > size:
        window = paragraph[:size]
        at = max(window.rfind("\n"), window.rfind(". ") + 1, window.rfind("。") + 1)
        if at < size // 2:
            at = window.rfind(" ")
        if at < size // 2:
            at = size
        yield paragraph[:at].rstrip()
        paragraph = paragraph[at:].lstrip()
    if paragraph.strip():
        yield paragraph


def split_jsonl(lines: Iterable[str], source: str) -> Iterator[Entry | Problem]:
    """JSON Lines: an object with `content` (or `text`) a line; a bad line is a problem, not an end.

    Other fields than title, tags, kind and source are left out.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _jsonl_entry(line, f"{source}:{number}")


def _jsonl_entry(line: str, where: str) -> Iterator[Entry | Problem]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        yield Problem(where, f"not JSON: {error}")
        return
    if not isinstance(data, dict):
        yield Problem(where, "not an object")
        return
    content = data.get("content", data.get("text"))
    if not isinstance(content, str) or not content.strip():
        yield Problem(where, 'no text under "content" (or "text")')
        return
    rest = {k: data[k] for k in _FIELDS - {"content", "text"} if data.get(k)}
    wrong = [k for k in ("title", "kind", "source") if not isinstance(rest.get(k, ""), str)]
    tags = rest.get("tags", [])
    if wrong or not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        yield Problem(where, "title, kind and source must be texts, tags a list of texts")
        return
    if "title" in rest:
        rest["title"] = rest["title"][:TITLE_LIMIT]
    rest.setdefault("source", where)
    for piece in [content] if len(content) <= WHOLE else pieces(content):
        yield {"content": piece, **rest}
