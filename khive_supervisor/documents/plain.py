"""Plain text: cut at paragraphs, under its file's name."""

from __future__ import annotations

from collections.abc import Iterator

from khive_supervisor.documents.images import without_images
from khive_supervisor.documents.model import TITLE_LIMIT, DocumentEntry, LeftOut
from khive_supervisor.documents.pieces import pieces

#: Why an image inside a text is not learned.
IMAGE = "an embedded image"


def split_text(text: str, source: str, title: str) -> Iterator[DocumentEntry | LeftOut]:
    """Plain text, cut at paragraphs; embedded images are left out, one `LeftOut` each."""
    text, images = without_images(text)
    for _ in range(images):
        yield LeftOut(source, IMAGE)
    for piece in pieces(text):
        yield {"content": piece, "title": title[:TITLE_LIMIT], "source": source}
