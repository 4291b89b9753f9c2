"""The pages of a PDF, read by pypdf in a process of its own.

A PDF is a program of sorts, and a hostile one can take any time and memory: the process has limits
of both, and what it has not said by then is not learned.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, Any

from khive_supervisor.documents.encodings import Unreadable
from khive_supervisor.documents.model import TITLE_LIMIT, DocumentEntry, LeftOut
from khive_supervisor.documents.pieces import pieces
from khive_supervisor.text.plain_json import JsonObject

#: Seconds that one PDF may take, and bytes of memory; a book of 1,000 pages takes half of both.
SECONDS, MEMORY = 120, 2 * 1024**3
#: Pages that are read of one PDF.
PAGES = 3000
#: Why a PDF is not read where pypdf is not installed.
NEEDED = "a PDF: pip install 'khive-supervisor[pdf]' to have it read"


def available() -> bool:
    """Return True if PDFs can be read here."""
    return importlib.util.find_spec("pypdf") is not None


def split_pdf(path: str, source: str, title: str) -> Iterator[DocumentEntry | LeftOut]:
    """The pages of a PDF, each cut at paragraphs; a page without text is left out.

    Raises:
        Unreadable: broken, encrypted, or too much for the limits.
    """
    said = _read(path)
    pages: list[str] = said["pages"]
    name = " ".join(said["title"].split()) or title
    for number, text in enumerate(pages, 1):
        if not text.strip():
            yield LeftOut(f"{source}, page {number}", "a page of a PDF without text")
        for piece in pieces(text):
            headline = f"{name[: TITLE_LIMIT - 20]} > page {number}"
            place = f"page {number}"
            yield {"content": piece, "title": headline, "source": source, "locator": place}
    if said["count"] > len(pages):
        raise Unreadable(f"a PDF of {said['count']} pages; the first {PAGES} were learned")


def _read(path: str) -> JsonObject:
    argv = [sys.executable, "-P", "-m", __name__]
    try:
        with open(path, "rb") as file:
            done = subprocess.run(
                argv, stdin=file, capture_output=True, timeout=SECONDS, check=False
            )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"a PDF that takes more than {SECONDS} s to read") from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise Unreadable("a broken PDF, or one that takes too much memory") from None
    if "error" in said:
        raise Unreadable(str(said["error"]))
    return dict(said)


def _pages_of(stream: IO[bytes]) -> JsonObject:
    import pypdf

    reader = pypdf.PdfReader(stream)
    if reader.is_encrypted and not reader.decrypt(""):
        return {"error": "a PDF that needs a password"}
    count = len(reader.pages)
    pages = [reader.pages[n].extract_text() or "" for n in range(min(count, PAGES))]
    return {"title": _title(reader), "pages": pages, "count": count}


def _title(reader: Any) -> str:
    try:
        return str(reader.metadata.title or "") if reader.metadata else ""
    except Exception:  # noqa: BLE001 - whatever a foreign file does to its reader
        return ""  # its pages may be fine


def _main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable()
    try:
        said = _pages_of(io.BytesIO(sys.stdin.buffer.read()))
    except Exception as error:  # noqa: BLE001 - whatever a foreign file does to its reader
        said = {"error": f"a broken PDF: {type(error).__name__}: {error}"[:300]}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    _main()
