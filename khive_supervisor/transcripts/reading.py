"""Reads what a transcript has more than at the last time, and puts it into the journal.

Events and cursor are one transaction: whatever is killed in between, no line is lost or taken in
twice.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import JournalEvent, TranscriptCursor
from khive_supervisor.transcripts.cursor import HEAD, TAIL, known_by
from khive_supervisor.transcripts.form import (
    Reader,
    TranscriptState,
    line_of,
    restored,
    saved,
)

#: Bytes that are taken in by one transaction, of the longest line that is read, and at once.
AT_ONCE, LONGEST_LINE, _BLOCK = 4 << 20, 16 << 20, 1 << 20


@dataclass(frozen=True, slots=True)
class TranscriptFile:
    """A transcript: whose it is, where, and how a line of it is read."""

    client: str
    path: str
    read: Reader


@dataclass(frozen=True, slots=True)
class SessionBelonging:
    """What a session's events belong to, by its directory; not `kept` where capturing is off."""

    project: int | None = None
    namespace: str = "default"
    kept: bool = True


#: Says what the events of a directory belong to.
Places = Callable[[str], SessionBelonging]


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What one reading came to: sessions that have more events, and whether the file has more."""

    sessions: frozenset[str] = frozenset()
    events: int = 0
    more: bool = False
    state: TranscriptState = field(default_factory=TranscriptState)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """Where reading begins: a place, what is known there, and whether it is the start again."""

    offset: int
    state: TranscriptState
    again: bool


def take_in(
    store: Store, file: TranscriptFile, places: Places, *, from_end: bool = False
) -> TakenIn:
    """Read the next lines of a transcript, up to `AT_ONCE` bytes, into the journal.

    With `from_end`, a file that was never read is taken as read: what it gets from now on counts.

    Raises:
        OSError: it cannot be read; StoreUnavailable, StoreError: the journal cannot be written.
    """
    with _opened(file.path) as opened:
        begins = _beginning(store.capture.cursor(file.path), opened)
        if from_end and begins.offset == 0 and not begins.again:
            return _skip(store, file, opened)
        opened.seek(begins.offset)
        state, events, offset = _read(file, opened, begins, places)
        if offset == begins.offset and not begins.again:
            return TakenIn(state=state)
        cursor = _cursor(file, opened, state, offset)
        more = os.fstat(opened.fileno()).st_size - offset > 0 and offset > begins.offset
    sessions = frozenset(one.session for one in events)
    with store.transaction():
        if begins.again:
            for session in sessions:
                store.journal.reread(file.client, session)
        store.journal.append(events)
        store.capture.put_cursor(cursor)
    return TakenIn(sessions, len(events), more, state)


def _opened(path: str) -> BinaryIO:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def _beginning(cursor: TranscriptCursor | None, opened: BinaryIO) -> _Beginning:
    if cursor is None:
        return _Beginning(0, TranscriptState(), again=False)
    size = os.fstat(opened.fileno()).st_size
    same = size >= cursor.offset
    same = same and _identity(opened, cursor.head_size, cursor.offset) == cursor.head
    if same:
        return _Beginning(cursor.offset, restored(cursor.state), again=False)
    return _Beginning(0, TranscriptState(), again=True)


def _identity(opened: BinaryIO, head: int, offset: int) -> bytes:
    """Return what a file is known by at a place of it."""
    descriptor = opened.fileno()
    before = min(TAIL, offset)
    return known_by(os.pread(descriptor, head, 0), os.pread(descriptor, before, offset - before))


def _cursor(
    file: TranscriptFile, opened: BinaryIO, state: TranscriptState, offset: int
) -> TranscriptCursor:
    found = os.fstat(opened.fileno())
    head = min(HEAD, offset)
    return TranscriptCursor(
        file.path, file.client, state.session, found.st_dev, found.st_ino, offset,
        _identity(opened, head, offset), head, saved(state),
    )  # fmt: skip


def _read(
    file: TranscriptFile, opened: BinaryIO, begins: _Beginning, places: Places
) -> tuple[TranscriptState, list[JournalEvent], int]:
    """Return the state after the lines that are whole, their events, and where they end."""
    state, offset = begins.state, begins.offset
    kept: list[JournalEvent] = []
    for line, end in _lines(opened, begins.offset):
        offset = end
        found = line_of(line)
        if found is None:
            state = replace(state, unknown=state.unknown + bool(line.strip()))
            continue
        state, events = file.read(state, found)
        kept += _placed(events, places(state.cwd)) if events else ()
        if offset - begins.offset >= AT_ONCE:
            break
    return state, kept, offset


def _placed(events: Sequence[JournalEvent], belonging: SessionBelonging) -> list[JournalEvent]:
    if not belonging.kept:
        return []
    project, namespace = belonging.project, belonging.namespace
    return [replace(one, project=project, namespace=namespace) for one in events if one.session]


def _lines(opened: BinaryIO, offset: int) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines, and where each ends; of one that is too long, nothing but its end."""
    held = b""
    while block := opened.read(_BLOCK):
        first, *others = block.split(b"\n")
        held = held + first if len(held) <= LONGEST_LINE else held
        offset += len(first)
        for other in others:
            offset += 1
            yield (held if len(held) <= LONGEST_LINE else b""), offset
            held = other
            offset += len(other)


def _skip(store: Store, file: TranscriptFile, opened: BinaryIO) -> TakenIn:
    """Take a file as read; its first lines say whose session it is."""
    state, offset = TranscriptState(), 0
    for line, end in _lines(opened, 0):
        found = line_of(line) if not state.session else None
        state = file.read(state, found)[0] if found else state
        offset = end
    store.capture.put_cursor(_cursor(file, opened, state, offset))
    return TakenIn(state=state)
