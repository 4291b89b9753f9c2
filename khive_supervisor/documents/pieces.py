"""A text in pieces: as long as the embedder can take in, and whole paragraphs where possible."""

from __future__ import annotations

import re
from collections.abc import Iterator

from khive_supervisor.documents.images import IMAGE, without_images
from khive_supervisor.documents.model import PIECE, SMALL, TITLE_LIMIT, DocumentEntry, LeftOut

_PARAGRAPHS = re.compile(r"\n\s*\n")
#: Blank lines at the start; not the blanks of the first line that has text, which may be code.
_BLANK = re.compile(r"\A(?:[^\S\n]*\n)+")


def split_text(text: str, source: str, title: str) -> Iterator[DocumentEntry | LeftOut]:
    """Plain text, cut at paragraphs; embedded images are left out, one `LeftOut` each."""
    text, images = without_images(text)
    yield from [LeftOut(source, IMAGE)] * images
    for piece in pieces(text):
        yield {"content": piece, "title": title[:TITLE_LIMIT], "source": source}


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    """A text in pieces of about `size` characters: whole paragraphs where possible."""
    piece = ""
    for paragraph in _PARAGRAPHS.split(_BLANK.sub("", text.rstrip())):
        for part in _cut(paragraph.strip("\n"), size):
            if piece and len(piece) + len(part) > size and len(piece) >= SMALL:
                yield piece
                piece = ""
            piece = f"{piece}\n\n{part}" if piece else part
    if piece.strip():
        yield piece


def _cut(paragraph: str, size: int) -> Iterator[str]:
    """A paragraph that is too long, cut after a line, a sentence or a word."""
    start = 0
    while len(paragraph) - start > size:
        # Never the rest of it: a file of one line would be copied once for each piece.
        window = paragraph[start : start + size]
        at = max(window.rfind("\n"), window.rfind(". ") + 1, window.rfind("。") + 1)
        if at < size // 2:
            at = window.rfind(" ")
        if at < size // 2:
            at = size
        part = window[:at].rstrip()
        if part:
            yield part
        start += at
        while start < len(paragraph) and paragraph[start].isspace():
            start += 1
    if paragraph[start:].strip():
        yield paragraph[start:]
