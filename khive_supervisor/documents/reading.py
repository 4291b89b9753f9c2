"""The entries of one file or stream, whatever it holds; nothing of it crashes or hangs."""

from __future__ import annotations

import io
import os
import select
import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import IO

from khive_supervisor.documents import pdf
from khive_supervisor.documents.encodings import (
    PROBE,
    Unreadable,
    decode,
    encoding_of,
    is_pdf,
    not_decoded,
)
from khive_supervisor.documents.jsonl import split_jsonl
from khive_supervisor.documents.markdown import split_markdown
from khive_supervisor.documents.model import DocumentEntry, DocumentProblem, LeftOut
from khive_supervisor.documents.pieces import split_text
from khive_supervisor.documents.walk import SIZE_LIMIT, DocumentSource

#: Grows when the same bytes give other entries: what was learned before is then read again.
READER = 1
#: Seconds without a byte after which a pipe is given up, and after which that is said.
PIPE_IDLE, PIPE_NOTE = 60.0, 2.0
#: Bytes of one read.
_CHUNK = 1024 * 1024

EMPTY = "empty"

Item = DocumentEntry | LeftOut | DocumentProblem


def digest_of(path: str, options: str) -> bytes:
    """Return what a file and the way in which it is read give: 16 bytes, equal only if both are.

    Raises:
        OSError: it cannot be read.
    """
    digest = blake2b(f"{READER}\0{options}\0".encode("utf-8", "surrogatepass"), digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def read(source: DocumentSource, note: Callable[[str], None]) -> Iterator[Item]:
    """The entries of a source, and what was left out; what cannot be read is a problem."""
    count = 0
    try:
        for item in _read(source, note):
            count += 1
            yield item
        if not count:
            yield LeftOut(source.shown, EMPTY, os.path.splitext(source.shown)[1].lower())
    except Unreadable as error:
        yield _not_read(source, str(error))
    except OSError as error:
        yield DocumentProblem(source.shown, error.strerror or str(error))


def _not_read(source: DocumentSource, why: str) -> DocumentProblem | LeftOut:
    """Return a PDF that was not named is no failure where PDFs are not read."""
    if why == pdf.NEEDED and source.root is not None:
        return LeftOut(source.shown, why, ".pdf")
    return DocumentProblem(source.shown, why)


def _read(source: DocumentSource, note: Callable[[str], None]) -> Iterator[Item]:
    if source.path == "-":
        with open(0, "rb", closefd=False) as file:
            yield from _of_stream(source, file)
        return
    if not source.name:
        yield from _of_stream(source, io.BytesIO(_from_pipe(source.path, note)))
        return
    with open(source.path, "rb") as file:
        if is_pdf(file.peek(PROBE)[:PROBE]):
            if not pdf.available():
                raise Unreadable(pdf.NEEDED)
            yield from pdf.split_pdf(source.path, source.shown, os.path.basename(source.name))
        else:
            yield from _of_stream(source, file)


def _of_stream(source: DocumentSource, file: IO[bytes]) -> Iterator[Item]:
    if source.form == "jsonl":
        yield from split_jsonl(_lines(file), source.shown)
        return
    data = file.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise Unreadable(f"too large: a document has at most {SIZE_LIMIT // 1024**2} MiB")
    if is_pdf(data[:PROBE]):
        raise Unreadable("a PDF, which is read from a file only")
    text = decode(data)
    title = os.path.basename(source.name or source.path) if source.path != "-" else "standard input"
    split = split_markdown if source.form == "markdown" else split_text
    yield from split(text, source.shown, title)


def _lines(file: IO[bytes]) -> Iterator[str]:
    """The lines of a text of any size.

    Raises:
        Unreadable: it is none.
    """
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]  # any file that reads bytes will do
    encoding = encoding_of(buffered.peek(PROBE)[:PROBE])
    buffered.read(encoding.mark)
    text = io.TextIOWrapper(buffered, encoding=encoding.name, errors="strict")
    try:
        yield from text
    except UnicodeDecodeError as error:
        raise Unreadable(not_decoded(error, encoding)) from None
    finally:
        text.detach()


def _from_pipe(path: str, note: Callable[[str], None]) -> bytes:
    """All that comes through a pipe, which may have no writer yet, or one that never writes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        found = bytearray()
        while part := _next(descriptor, poll, path, note):
            found += part
            if len(found) > SIZE_LIMIT:
                raise Unreadable(f"too large: a pipe gives at most {SIZE_LIMIT // 1024**2} MiB")
        return bytes(found)
    finally:
        os.close(descriptor)


def _next(descriptor: int, poll: select.poll, path: str, note: Callable[[str], None]) -> bytes:
    began = time.monotonic()
    if not poll.poll(PIPE_NOTE * 1000):
        note(f"Waiting for what comes through {path}; for at most {PIPE_IDLE:.0f} s.")
        if not poll.poll(max(0.0, began + PIPE_IDLE - time.monotonic()) * 1000):
            raise Unreadable(f"a pipe through which nothing came for {PIPE_IDLE:.0f} s")
    return os.read(descriptor, _CHUNK)
