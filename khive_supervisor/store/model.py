"""What the store holds, as plain values; no SQL, no engine, no connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from unicodedata import normalize

from khive_supervisor.history.model import COLLECTION as EXECUTION

#: Bytes of a content hash: 128 bits, so that two different contents never meet by chance.
CONTENT_HASH_BYTES = 16

#: A line, not the first, that begins with white space, as those of code do.
_INDENTED = re.compile(r"\n[ \t]+\S")
#: Bytes of one component of a stored vector: float16, little-endian.
VECTOR_COMPONENT_BYTES = 2


def content_hash(
    collection: str,
    namespace: str,
    title: str,
    content: str,
    project: int | None = None,
    attempt: str = "",
) -> bytes:
    """Return the identity of what an entry says: equal only if all six are equal, sign by sign.

    `attempt` names the one that an execution tells of: two attempts at the same are two.

    Of a memory, white space and the way in which letters are composed (NFC, NFD) make no other
    text; within one whose lines are indented, white space says something. Each part is preceded by
    its length, so that no part can run into the next.
    """
    if collection == "memory":
        title, content = _one_spaced(_as_read(title)), _one_spaced(_as_read(content))
    within = () if project is None else (str(project),)
    tried = (attempt,) if attempt else ()
    return _digest(collection, namespace, title, content, *within, *tried)


def former_hashes(collection: str, namespace: str, title: str, content: str) -> tuple[bytes, ...]:
    """Return the hashes by which an earlier release may know the same memory, sign by sign."""
    if collection != "memory":
        return ()
    same = _as_read(content)
    ends = (f"{text}{end}" for text in (same, normalize("NFD", same)) for end in ("", "\n", " "))
    texts = dict.fromkeys([content, *ends])
    found = (_digest(collection, namespace, title, text) for text in texts)
    own = content_hash(collection, namespace, title, content)
    return tuple(one for one in found if one != own)


def _as_read(text: str) -> str:
    return normalize("NFC", text).strip()


def _one_spaced(text: str) -> str:
    """Return a text with one space between its words, unless some of its lines are indented."""
    return text if _INDENTED.search(text) else " ".join(text.split())


def _digest(*parts: str) -> bytes:
    digest = blake2b(digest_size=CONTENT_HASH_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


class SaidBy(StrEnum):
    """Who it was that brought an entry: a person, an agent, or a program between them."""

    PERSON = "person"
    AGENT = "agent"
    TOOL = "tool"


class How(StrEnum):
    """The way in which an entry came; captured is what nobody has said on purpose."""

    SAID = "said"
    CAPTURED = "captured"
    LEARNED = "learned"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who stored an entry, and how; what is not known is empty.

    `task` is an id such as t12, `role` the role that did it.
    """

    by: SaidBy
    how: How
    actor: str = ""
    client: str = ""
    client_version: str = ""
    session: str = ""
    task: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be added.

    `salience` is 0..1, `decay` is per day, `created_at` in unix seconds (None: now; given by an
    import that keeps the dates of its source). `project` is the number of the project that it is
    about, None for the user as a whole; `branch` and `commit` are what was checked out there.
    It holds from `valid_from` until before
    `valid_until`, each None where it has no such end.
    """

    collection: str
    namespace: str
    kind: str
    title: str
    content: str
    tags: tuple[str, ...] = ()
    salience: float = 0.5
    decay: float = 0.0
    source: str | None = None
    created_at: float | None = None
    project: int | None = None
    branch: str | None = None
    commit: str | None = None
    provenance: Provenance | None = None
    valid_from: float | None = None
    valid_until: float | None = None

    @property
    def content_hash(self) -> bytes:
        """Return what exact duplicates have in common: 16 bytes."""
        attempt = (self.source or "") if self.collection == EXECUTION else ""
        return content_hash(
            self.collection, self.namespace, self.title, self.content, self.project, attempt
        )

    @property
    def former_hashes(self) -> tuple[bytes, ...]:
        """Return what a store of an earlier release may know it by; empty except for memories.

        Those releases knew no projects.
        """
        if self.project is not None:
            return ()
        return former_hashes(self.collection, self.namespace, self.title, self.content)

    @property
    def wider_hashes(self) -> tuple[bytes, ...]:
        """Return the hashes of the same text for the user as a whole; empty without a project."""
        if self.project is None:
            return ()
        whole = replace(self, project=None)
        return (whole.content_hash, *whole.former_hashes)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as stored. Times are unix seconds of the wall clock."""

    id: int
    collection: str
    namespace: str
    kind: str
    title: str
    content: str
    tags: tuple[str, ...]
    salience: float
    decay: float
    source: str | None
    content_hash: bytes
    created_at: float
    updated_at: float
    deleted_at: float | None
    superseded_by: int | None
    #: When it was removed for good: there is nothing in it any more.
    purged_at: float | None = None
    project: int | None = None
    branch: str | None = None
    commit: str | None = None
    provenance: int | None = None
    #: It holds from then, and until before then; None: no such end.
    valid_from: float | None = None
    valid_until: float | None = None

    def holds(self, moment: float) -> bool:
        """Return True if what it says holds at a moment, in unix seconds, live or not."""
        begun = self.valid_from is None or self.valid_from <= moment
        return begun and (self.valid_until is None or moment < self.valid_until)

    @property
    def forgotten(self) -> bool:
        """Return True if it was deleted and can be restored."""
        gone = self.superseded_by is not None or self.purged_at is not None
        return self.deleted_at is not None and not gone

    @property
    def live(self) -> bool:
        """Return True if searches may return it: neither deleted nor superseded."""
        return self.deleted_at is None and self.superseded_by is None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one entry of `EntryStore.add`.

    `created`: it is new. `restored`: it had been deleted, and lives again under its old id.
    Neither: the same content was there already, under this id.
    """

    id: int
    created: bool
    restored: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry as its source says it. `locator`: where there. `kind`: one that was asked for."""

    entry: NewEntry
    locator: str = ""
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Beside:
    """The ids of the entries that stand before and after one in its document; None: nothing."""

    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class SourceText:
    """What a source says, or a part of it.

    Attributes:
        run: numbers this reading of it (`SourceStore.begin_run`): what the source said in an
            earlier one is old. What a later one has said already is stored, but replaces nothing.
        more: other parts of the same run follow.
        latest: store nothing if a later run has said something.
        replaces: of what is old, the "source" (all of it), what has a "title" of these pieces, or
            "nothing".
        instead_of: names of sources that this one has taken the place of.
        digest: 16 bytes, of the whole text.
        root: the folder that brought it.
        options: what was asked for besides, in words of who asked.
        project: the project that says it. A file or an address is one source whoever reads it, and
            stays in the project that it was read in first; another name is each project's own.
        everywhere: it is for every project from now on.
    """

    namespace: str
    name: str
    pieces: tuple[Piece, ...]
    run: int
    more: bool = False
    latest: bool = False
    replaces: str = "source"
    instead_of: tuple[str, ...] = ()
    digest: bytes | None = None
    root: str | None = None
    options: str = ""
    project: int | None = None
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class LearnedText:
    """What became of a text: the ids of its pieces in their order, counts, and what was retired."""

    ids: tuple[int, ...]
    stored: int
    restored: int
    known: int
    retired: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source. `digest`: of its text, if all of that is in. `root`: the folder that brought it.

    `options`: what was asked for besides, in words of who asked. `entries` it says, of which `live`
    are live: fewer, if some were forgotten.
    """

    name: str
    digest: bytes | None
    root: str | None
    options: str
    entries: int
    live: int


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Which live entries; every condition must hold, and one that is None does not count.

    `namespaces` and `kinds` name alternatives (an empty tuple matches nothing); an entry has all
    of `tags`; `since <= created_at < until`, in unix seconds. `projects` are alternatives, too;
    None among them is the user as a whole. `by`, `how`, `actor`, `client`, `session`, `task` and
    `role` are those of the entry's `Provenance`; `source` is how its source begins, `pinned` lets
    pinned ones through alone.
    """

    collection: str | None = None
    namespaces: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    projects: tuple[int | None, ...] | None = None
    by: SaidBy | None = None
    actor: str | None = None
    client: str | None = None
    how: How | None = None
    session: str | None = None
    task: str | None = None
    role: str | None = None
    source: str | None = None
    pinned: bool = False

    @property
    def by_rows(self) -> bool:
        """Return True if a condition is known by the entries' rows, and by no index."""
        narrowed = self.projects is not None or self.source is not None
        return narrowed or self.pinned or bool(self.said)

    @property
    def said(self) -> dict[str, str]:
        """Return what is asked of who stored an entry, by the provenance's columns."""
        asked = {
            "said_by": self.by, "how": self.how, "actor": self.actor, "client": self.client,
            "session": self.session, "task": self.task, "role": self.role,
        }  # fmt: skip
        return {name: str(value) for name, value in asked.items() if value is not None}

    @property
    def empty(self) -> bool:
        """Return True if it lets every live entry through."""
        return self == EntryFilter()


#: Lets every live entry through.
EVERYTHING = EntryFilter()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint did: pages in the write-ahead log, and how many are in the file now.

    `complete` is false while a reader or writer kept the rest in the log.
    """

    pages: int
    moved: int
    complete: bool


@dataclass(frozen=True, slots=True)
class StoreStats:
    """The store in numbers. `live` counts live entries by collection; sizes are bytes."""

    live: Mapping[str, int]
    namespaces: Mapping[str, int]
    deleted: int
    superseded: int
    schema_version: int
    file_bytes: int
    wal_bytes: int


@dataclass(frozen=True, slots=True)
class ChangeCounts:
    """How often each kind of thing has changed, in a past of the store.

    Numbers of two pasts are not comparable: another past means that everything has changed.
    """

    past: bytes
    counts: Mapping[str, int]

    def same(self, other: ChangeCounts, kinds: Iterable[str]) -> bool:
        """Return True if nothing of these kinds has changed between the two."""
        mine, theirs = self.counts, other.counts
        return self.past == other.past and all(mine.get(k) == theirs.get(k) for k in kinds)

    def changed_since(self, other: ChangeCounts) -> frozenset[str]:
        """Return the kinds that have changed between the two; all of them in another past."""
        kinds = self.counts.keys() | other.counts.keys()
        return frozenset(kind for kind in kinds if not self.same(other, (kind,)))
