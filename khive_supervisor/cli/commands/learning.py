"""One run of `learn`: which files have changed, what they say now, and what they say no longer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from khive_supervisor.cli.connection.session import Verbs
from khive_supervisor.cli.render.answers import ChangeOfSource, LearnedSource, SyncAnswer
from khive_supervisor.documents.model import DocumentEntry, DocumentProblem, LeftOut
from khive_supervisor.documents.reading import digest_of, read
from khive_supervisor.documents.walk import DocumentSource, is_gone

#: Entries in one call: what is lost at most when it is interrupted, and then learned again.
BATCH = 128
#: The same when nothing is stored: calls know nothing of each other then.
DRY_BATCH = 1000
#: Files in one call.
FILES = 200
#: Bytes of one call's entries as they are sent, well below a frame; a larger entry is refused.
BATCH_BYTES = 2 * 1024 * 1024
#: Sources that are asked for in one call.
ASKED = 500
#: Examples of what was left out for one reason, in JSON.
EXAMPLES = 5


class SaidSource(TypedDict):
    """What a source says now; `more`: it goes on in another call."""

    source: str
    entries: list[DocumentEntry]
    more: NotRequired[bool]
    partial: NotRequired[bool]
    digest: NotRequired[str]
    root: NotRequired[str]
    options: NotRequired[str]
    instead_of: NotRequired[list[str]]


@dataclass(slots=True)
class Left:
    """What was left out for one reason."""

    count: int = 0
    suffixes: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, one: LeftOut) -> None:
        """Count one."""
        self.count += 1
        self.suffixes[one.suffix] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(one.source)

    def as_dict(self, why: str) -> dict[str, object]:
        """Return it as --json prints it, with the reason."""
        suffixes = dict(self.suffixes.most_common())
        return {"why": why, "count": self.count, "suffixes": suffixes, "examples": self.examples}


@dataclass(slots=True)
class Tally:
    """What has been learned so far, and what was not."""

    stored: int = 0
    restored: int = 0
    already_known: int = 0
    retired: int = 0
    moved: int = 0
    unchanged: int = 0
    changes: list[ChangeOfSource] = field(default_factory=list)
    kept: list[DocumentProblem] = field(default_factory=list)
    problems: list[DocumentProblem] = field(default_factory=list)
    left_out: dict[str, Left] = field(default_factory=dict)

    def add(self, answer: SyncAnswer) -> None:
        """Count one call's answer."""
        self.stored += answer.get("stored", 0)
        self.restored += answer.get("restored", 0)
        self.already_known += answer.get("already_known", 0)
        self.retired += answer["retired"]
        self.changes += answer["changes"]
        for one in answer.get("refused", ()):
            line = one["locator"].removeprefix("line ")
            where = f"{one['source']}:{line}" if line else one["source"]
            self.problems.append(DocumentProblem(where, one["why"]))

    def leave_out(self, one: LeftOut) -> None:
        """Count what was left out."""
        self.left_out.setdefault(one.why, Left()).add(one)

    def as_dict(self) -> dict[str, object]:
        """Return it as --json prints it."""
        return {
            "stored": self.stored,
            "restored": self.restored,
            "already_known": self.already_known,
            "retired": self.retired,
            "files_moved": self.moved,
            "files_unchanged": self.unchanged,
            "left_out": [left.as_dict(why) for why, left in self.left_out.items()],
            "kept": [{"source": p.source, "why": p.why} for p in self.kept],
            "problems": [{"source": p.source, "why": p.why} for p in self.problems],
        }


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, but for the paths."""

    tags: tuple[str, ...] = ()
    kind: str | None = None
    namespace: str | None = None
    dry_run: bool = False
    everywhere: bool = False

    @property
    def shared(self) -> dict[str, str]:
        """The arguments of every call."""
        return {"namespace": self.namespace} if self.namespace else {}

    @property
    def storing(self) -> dict[str, object]:
        """The arguments of every call that stores."""
        return {**self.shared, "everywhere": True} if self.everywhere else {**self.shared}

    @property
    def text(self) -> str:
        """What the store keeps of them: a run with others reads files again."""
        asked: dict[str, object] = {"tags": sorted(self.tags), "kind": self.kind}
        if self.everywhere:
            asked["everywhere"] = True
        return json.dumps(asked) if self.tags or self.kind or self.everywhere else ""

    def of(self, entry: DocumentEntry) -> DocumentEntry:
        """Return an entry with what was asked for all of them."""
        found = entry.copy()
        if self.tags:
            found["tags"] = list(dict.fromkeys([*entry.get("tags", ()), *self.tags]))
        if self.kind:
            found["kind"] = self.kind
        return found


@dataclass(slots=True)
class Part:
    """What one call says of one file."""

    source: DocumentSource
    entries: list[DocumentEntry] = field(default_factory=list)
    size: int = 0
    follows: bool = False
    more: bool = False
    partial: bool = False
    digest: bytes | None = None


class LearnRun:
    """One run, over conversations that take turns: while one waits for the embedder, one writes."""

    def __init__(
        self,
        sessions: Sequence[Verbs],
        options: Options,
        tally: Tally,
        note: Callable[[str], None],
        advance: Callable[[int], None],
    ) -> None:
        self._sessions = sessions
        self._options = options
        self._tally = tally
        self._note = note
        self._advance = advance
        self._run = 0
        self._batch = DRY_BATCH if options.dry_run else BATCH
        self._places_left: set[str] = set()
        self._known: dict[str, LearnedSource] = {}

    def learn(self, sources: Sequence[DocumentSource], folders: Sequence[str]) -> None:
        """Learn the files that have changed, then retire what was in the folders and is gone."""
        self._look_up(sources, folders)
        changed = list(self._changed(sources))
        if changed:
            self._run = self._sync(self._sessions[0], [])["run"]
        with ThreadPoolExecutor(len(self._sessions)) as pool:
            self._learn_all(changed, pool)
        self._retire_gone({source.name for source in sources} | self._places_left, folders)

    # --- what is known --------------------------------------------------------------------------

    def _ask(self, **args: Any) -> list[LearnedSource]:
        answer = self._sessions[0].request("knowledge.sources", {**args, **self._options.shared})
        found: list[LearnedSource] = answer["sources"]
        return found

    def _look_up(self, sources: Sequence[DocumentSource], folders: Sequence[str]) -> None:
        for folder in folders:
            after: dict[str, str] = {}
            while found := self._ask(below=folder, **after):
                self._known |= {one["source"]: one for one in found}
                after = {"after": found[-1]["source"]}
        asked = [s.name for s in sources if s.name and s.name not in self._known]
        for names in _chunks(asked, ASKED):
            self._known |= {one["source"]: one for one in self._ask(names=names)}

    def _changed(
        self, sources: Iterable[DocumentSource]
    ) -> Iterator[tuple[DocumentSource, bytes | None]]:
        """The files that are to be read, with their digests; a stream always is."""
        for source in sources:
            if not source.name:
                yield source, None
                continue
            try:
                digest = digest_of(source.path, source.form)
            except OSError as error:
                self._not_read(source, error.strerror or str(error))
                continue
            known = self._known.get(source.name)
            if known and self._unchanged(known, digest):
                self._tally.unchanged += 1
                self._tally.already_known += known["entries"]
                self._advance(source.size)
            else:
                yield source, digest

    def _unchanged(self, known: LearnedSource, digest: bytes) -> bool:
        """Return True if all that a file says is known, and with what is asked for it now.

        One that says nothing is read again, so that this is told again.
        """
        same = known["digest"] == digest.hex() and 0 < known["entries"] == known["live"]
        return same and self._options.text in ("", known["options"])

    def _not_read(self, source: DocumentSource, why: str) -> None:
        stays = "; what was learned of it before stays" if self._says(source.name) else ""
        self._tally.problems.append(DocumentProblem(source.shown, why + stays))

    def _says(self, name: str) -> int:
        return self._known[name]["entries"] if name in self._known else 0

    # --- what files say now ---------------------------------------------------------------------

    def _learn_all(
        self, changed: Sequence[tuple[DocumentSource, bytes | None]], pool: ThreadPoolExecutor
    ) -> None:
        running: list[Future[SyncAnswer] | None] = [None] * len(self._sessions)
        try:
            for number, batch in enumerate(batches(self._parts(changed), self._batch)):
                slot = number % len(running)
                # The last part of a file comes after all others of it.
                for other in range(len(running)) if _ends_one(batch) else (slot,):
                    self._collect(running, other)
                running[slot] = pool.submit(self._send, self._sessions[slot], batch)
                self._advance(sum(part.size for part in batch))
        finally:
            for slot in range(len(running)):
                self._collect(running, slot)

    def _collect(self, running: list[Future[SyncAnswer] | None], slot: int) -> None:
        future, running[slot] = running[slot], None
        if future is not None:
            self._tally.add(future.result())

    def _parts(self, changed: Iterable[tuple[DocumentSource, bytes | None]]) -> Iterator[Part]:
        """What the files say, in parts that fit into a call."""
        for source, digest in changed:
            yield from self._parts_of(source, digest)

    def _parts_of(self, source: DocumentSource, digest: bytes | None) -> Iterator[Part]:
        part, whole, failed = Part(source), True, False
        for item in read(source, self._note):
            if isinstance(item, LeftOut):
                self._tally.leave_out(item)
            elif isinstance(item, DocumentProblem):
                whole, failed = False, failed or item.source == source.shown
                self._problem(source, item)
            elif (size := len(json.dumps(item))) > BATCH_BYTES:
                whole = False
                where = f"{source.shown}:{item.get('locator', '').removeprefix('line ')}"
                self._tally.problems.append(DocumentProblem(where.rstrip(":"), "too large"))
            else:
                if len(part.entries) >= self._batch or part.size + size > BATCH_BYTES:
                    part.more = True
                    yield part
                    part = Part(source, follows=True)
                part.entries.append(self._options.of(item))
                part.size += size
        if failed and not part.follows and not part.entries:
            return  # it could not be read at all: nothing is said of it
        # Of a file of many parts, a call that changes nothing does not know what others said.
        unseen = part.follows and self._options.dry_run
        part.digest, part.partial = (digest if whole else None), failed or unseen or not source.name
        yield part

    def _problem(self, source: DocumentSource, problem: DocumentProblem) -> None:
        if problem.source == source.shown:
            self._not_read(source, problem.why)
        else:
            self._tally.problems.append(problem)

    def _send(self, session: Verbs, batch: Sequence[Part]) -> SyncAnswer:
        moved = self._moved(session, batch)
        said = [self._said(part, moved.get(part.digest or b"", [])) for part in batch]
        return self._sync(session, said)

    def _sync(self, session: Verbs, said: Sequence[SaidSource]) -> SyncAnswer:
        args = {"sources": said, "dry_run": self._options.dry_run, **self._options.storing}
        run = {"run": self._run} if self._run else {}
        answer: SyncAnswer = session.request("knowledge.sync", {**args, **run})
        return answer

    def _said(self, part: Part, instead_of: list[str]) -> SaidSource:
        source = part.source
        said: SaidSource = {"source": source.name or source.shown, "entries": part.entries}
        if part.more:
            said["more"] = True
        if part.partial:
            said["partial"] = True
        if part.digest:
            said["digest"] = part.digest.hex()
        if source.root:
            said["root"] = _text(source.root)
        if self._options.text:
            said["options"] = self._options.text
        if instead_of:
            said["instead_of"] = instead_of
            self._tally.moved += 1
            self._places_left.update(instead_of)
        return said

    def _moved(self, session: Verbs, batch: Sequence[Part]) -> dict[bytes, list[str]]:
        """For the digests of new files: the files that said the same and are gone."""
        new = [p.digest for p in batch if p.digest and p.source.name not in self._known]
        if not new:
            return {}
        asked = {"digests": [one.hex() for one in new], **self._options.shared}
        found: dict[bytes, list[str]] = {}
        for one in session.request("knowledge.sources", asked)["sources"]:
            if one["source"].startswith("/") and is_gone(one["source"]):
                found.setdefault(bytes.fromhex(one["digest"]), []).append(one["source"])
        return found

    # --- what they say no longer ----------------------------------------------------------------

    def _retire_gone(self, seen: set[str], folders: Sequence[str]) -> None:
        """Retire files of a folder that are gone; say which are only left out, or an agent's."""
        below = tuple(_text(folder).rstrip("/") + "/" for folder in folders)
        gone = []
        for name, known in self._known.items():
            if not below or not name.startswith(below) or name in seen or not known["entries"]:
                continue
            if not is_gone(name):
                why = "it is there, but was left out now; what was learned of it stays"
            elif known["digest"] is None:
                why = "it is gone; an agent has learned it under that name, so its text stays"
            else:
                gone.append(name)
                continue
            self._tally.kept.append(DocumentProblem(name, why))
        for names in _chunks(gone, ASKED):
            args = {"sources": names, "dry_run": self._options.dry_run, **self._options.shared}
            self._tally.add(self._sessions[0].request("knowledge.retire", args))


def batches(parts: Iterable[Part], most: int = BATCH) -> Iterator[list[Part]]:
    """Parts in calls of at most so many entries, BATCH_BYTES and FILES."""
    batch: list[Part] = []
    entries = size = 0
    for part in parts:
        full = entries + len(part.entries) > most or size + part.size > BATCH_BYTES
        if batch and (full or len(batch) >= FILES):
            yield batch
            batch, entries, size = [], 0, 0
        batch.append(part)
        entries += len(part.entries)
        size += part.size
    if batch:
        yield batch


def _ends_one(batch: Sequence[Part]) -> bool:
    """Return True if it ends a file of several parts, of which others may be on their way."""
    return any(part.follows and not part.more for part in batch)


def _text(path: str) -> str:
    """A path as it is sent: bytes that are no text are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
