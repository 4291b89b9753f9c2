"""Generation files: their names, how one becomes durable and visible, and when one may go.

A file is written beside its place, synced, renamed, its directory synced, and then named by a row
in the store, in the transaction that makes it the current one. So a row never names a file that a
power cut could take back, and a file without a row is rubbish. Files never change.

Who maps a file holds a shared flock on it (the kernel lets go of it with the process); who wants
to remove it needs the exclusive one.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from khive_supervisor.errors import IndexFileError
from khive_supervisor.host.durable import sync
from khive_supervisor.index.inverted.postings_file import PostingsFile
from khive_supervisor.index.vectors.layout import checksum, fingerprint
from khive_supervisor.index.vectors.sketch import Sketch
from khive_supervisor.index.vectors.slots import SlotMap
from khive_supervisor.store.vectors import Generation, GenerationStore

#: Files that this module made, finished or not; nothing else in the directory is ever touched.
_OURS = re.compile(r"[0-9]+\.(ann|sketch|words|slots)(\.tmp)?")
#: Taken by the one builder of a store; the file stays.
_BUILDER_LOCK = ".builder.lock"

_REBUILD = "It is built again by itself; or now: khive-supervisor index build"


@dataclass(frozen=True, slots=True)
class Generations:
    """The index directory of the store at `store_path`."""

    store_path: str

    @property
    def directory(self) -> str:
        """`index/` beside the store's file, wherever a link to it may be."""
        return os.path.join(os.path.dirname(os.path.realpath(self.store_path)), "index")

    def path(self, generation: Generation) -> str:
        """Return where the file of a generation is."""
        return os.path.join(self.directory, generation.file)

    def temporary(self, number: int) -> str:
        """Return where the file of a generation is written before it is published."""
        return os.path.join(self.directory, f"{file_name(number)}.tmp")

    def prepare(self) -> None:
        """Make the directory, private to the user, unless it exists."""
        with suppress(FileExistsError):
            os.mkdir(self.directory, 0o700)

    @contextmanager
    def builder_lock(self) -> Iterator[bool]:
        """Hold the builder's lock; yields False if another has it. A killed one's is free."""
        self.prepare()
        place = os.path.join(self.directory, _BUILDER_LOCK)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _locked(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    def sketch(self, generation: Generation) -> str:
        """Return where the sketch of a generation is, if it has one."""
        return os.path.join(self.directory, f"{generation.generation}.sketch")

    def postings(self, generation: Generation) -> str:
        """Return where the inverted index of a generation is."""
        return os.path.join(self.directory, f"{generation.generation}.words")

    def slots(self, generation: Generation) -> str:
        """Return where it is said whose the vectors of a generation are, if it is dense."""
        return os.path.join(self.directory, f"{generation.generation}.slots")

    def publish(self, stored: GenerationStore, generation: Generation) -> None:
        """Make the temporary file of `generation` the current index of its model.

        What goes with it, its sketch and its words, is in place already.
        """
        put(self.temporary(generation.generation), self.path(generation))
        sync(self.directory)
        stored.publish(generation)

    def open(self, generation: Generation) -> int:
        """Return a descriptor of the file, checked cheaply and kept from removal while it is open.

        Checked are its size and its fingerprint: enough to tell a truncated, empty or foreign
        file, not every flipped bit; `verify` does that.

        Raises:
            FileNotFoundError: it is gone (or going): ask the store which generation is current.
            IndexFileError: it is not the file that was published.
        """
        path = self.path(generation)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not _locked(descriptor, fcntl.LOCK_SH):
                raise FileNotFoundError(path)
            _check(descriptor, generation, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def verify(self, generation: Generation) -> None:
        """Compare every byte of the file with what was published (0.5 s for 250 MB).

        Raises:
            IndexFileError: it is missing, or not the file that was published.
        """
        path = self.path(generation)
        try:
            descriptor = self.open(generation)
        except OSError as error:
            why = f"The index file {path} cannot be opened: {error.strerror or error}."
            raise IndexFileError(why, hint=_REBUILD) from error
        try:
            if checksum(descriptor) != generation.sha256:
                raise IndexFileError(f"The index file {path} is damaged.", hint=_REBUILD)
        finally:
            os.close(descriptor)
        if generation.dense and not os.path.exists(self.slots(generation)):
            raise IndexFileError(f"{self.slots(generation)} is missing.", hint=_REBUILD)
        self._verify_companion(self.slots(generation), generation, SlotMap)
        self._verify_companion(self.sketch(generation), generation, Sketch)
        self._verify_companion(self.postings(generation), generation, PostingsFile)

    def _verify_companion(
        self,
        path: str,
        generation: Generation,
        kind: Callable[[str, Generation], Sketch | PostingsFile | SlotMap],
    ) -> None:
        try:
            found = kind(path, generation)
        except FileNotFoundError:
            return
        try:
            if not found.sound():
                raise IndexFileError(f"The index file {path} is damaged.", hint=_REBUILD)
        finally:
            found.close()

    def clean(self, stored: GenerationStore) -> list[str]:
        """Remove what nobody needs; return the names. Only for the holder of the builder's lock.

        Unfinished files, files without a row, and retired generations that nobody maps.
        """
        rows = {row.generation: row for row in stored.all()}
        removed = []
        for name in self._files():
            row = None if name.endswith(".tmp") else rows.get(int(name.partition(".")[0]))
            if not self._needed(name, row) and self._remove(name):
                removed.append(name)
        left = set(self._files())
        for row in rows.values():
            if not row.current and row.file not in left:
                stored.remove(row.generation)
        return removed

    def _needed(self, name: str, row: Generation | None) -> bool:
        """Return True for a file of the current generation, or beside one that is still used."""
        if row is None:
            return False
        return row.current or (name != row.file and os.path.exists(self.path(row)))

    def _files(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.directory) if _OURS.fullmatch(name))
        except FileNotFoundError:
            return []

    def _remove(self, name: str) -> bool:
        """Remove a file unless somebody maps it; return True if it is gone."""
        path = os.path.join(self.directory, name)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            free = _locked(descriptor, fcntl.LOCK_EX)
            if free:
                os.unlink(path)
        finally:
            os.close(descriptor)
        return free


def file_name(number: int) -> str:
    """Return the name of a generation's file in the index directory."""
    return f"{number}.ann"


def put(temporary: str, final: str) -> None:
    """Let a whole file take its place, durably but for its name; it never changes again."""
    os.chmod(temporary, 0o400)
    sync(temporary)
    os.rename(temporary, final)


def _check(descriptor: int, generation: Generation, path: str) -> None:
    size = os.fstat(descriptor).st_size
    if size != generation.bytes:
        raise IndexFileError(
            f"The index file {path} has {size} bytes instead of {generation.bytes}.", hint=_REBUILD
        )
    if fingerprint(descriptor) != generation.fingerprint:
        raise IndexFileError(f"The index file {path} is not the published one.", hint=_REBUILD)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
