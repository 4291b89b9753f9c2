"""Which files are to be learned: the paths that were named, and what their folders hold.

A file that is named is read, whatever it is. In a folder, what is hidden, ignored by git's rules,
filled by a tool, or no document is left out, and counted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from khive_supervisor.documents.ignore import (
    IgnoreRules,
    filled_by_a_tool,
    ignored,
    rules_above,
    rules_of,
)
from khive_supervisor.documents.model import DocumentProblem, LeftOut

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
    ".pdf": "pdf",
}
#: Bytes of a document that is read whole; JSON Lines are read line by line, and have no limit.
SIZE_LIMIT = 64 * 1024 * 1024
#: Why things are left out; the texts follow "left out: 3 files, ".
HIDDEN = "hidden"
IGNORED = "ignored by git's rules"
NO_DOCUMENT = "no text, Markdown, JSON Lines or PDF"
LINK_TO_FOLDER = "a link to a folder"
BROKEN_LINK = "a link to nothing"
NO_FILE = "no regular file (a pipe, a socket or a device)"


@dataclass(frozen=True, slots=True)
class DocumentSource:
    """One file to learn, or a stream.

    `path` is what is opened, `name` what it is known by: its real path, or nothing for a stream,
    which is another one each time. `root` is the folder that brought it; None: it was named.
    """

    path: str
    name: str
    form: str
    size: int
    root: str | None = None

    @property
    def shown(self) -> str:
        """Return what messages call it."""
        return self.name or ("standard input" if self.path == "-" else self.path)


Found = DocumentSource | LeftOut | DocumentProblem


def find(paths: Iterable[str], form: str, everything: bool = False) -> Iterator[Found]:
    """The files of the given paths, each once, and what was left out of their folders.

    `form` is text, markdown, jsonl or auto (by the suffix); `everything` leaves out only what is
    no document.
    """
    seen: set[str] = set()
    for path in paths:
        for found in _of(path, form, everything):
            name = found.name if isinstance(found, DocumentSource) else ""
            if name not in seen:
                yield found
            seen |= {name} - {""}


def folders(paths: Iterable[str]) -> list[str]:
    """Return the real paths of those that are folders."""
    return list(dict.fromkeys(os.path.realpath(path) for path in paths if os.path.isdir(path)))


def name_of(path: str) -> str:
    """Return what a file is known by; bytes of a name that are no text are escaped."""
    return os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")


def is_gone(name: str) -> bool:
    """Return True if there is no such file any more; not for one that only cannot be seen."""
    try:
        os.lstat(name)
    except (OSError, ValueError) as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _of(path: str, form: str, everything: bool) -> Iterator[Found]:
    if path in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        yield DocumentSource("-", "", "text" if form == "auto" else form, 0)
        return
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        yield DocumentProblem(path, "no such file or folder")
    except (OSError, ValueError) as error:
        yield DocumentProblem(path, getattr(error, "strerror", None) or str(error))
    else:
        yield from _named(path, form, everything, found)


def _named(path: str, form: str, everything: bool, found: os.stat_result) -> Iterator[Found]:
    if stat.S_ISDIR(found.st_mode):
        yield from _Walk(form, everything).folder(os.path.realpath(path))
    elif stat.S_ISREG(found.st_mode):
        yield DocumentSource(path, name_of(path), form_of(path, form), found.st_size)
    elif stat.S_ISFIFO(found.st_mode):
        yield DocumentSource(path, "", "text" if form == "auto" else form, 0)
    else:
        yield DocumentProblem(path, NO_FILE)


def form_of(path: str, form: str) -> str:
    """Return what a file holds: what was said, or what its suffix says."""
    return SUFFIXES.get(suffix_of(path), "text") if form == "auto" else form


def suffix_of(path: str) -> str:
    """Return the suffix of a file's name, in lower case."""
    return os.path.splitext(path)[1].lower()


class _Walk:
    """Through one folder that was named; deepest folders do not deepen the stack."""

    def __init__(self, form: str, everything: bool) -> None:
        self._form = form
        self._everything = everything
        self._problems: list[DocumentProblem] = []

    def folder(self, root: str) -> Iterator[Found]:
        above = [] if self._everything else rules_above(root, self._complain)
        waiting = [(root, above)]
        while waiting:
            folder, rules = waiting.pop()
            below: list[tuple[str, list[IgnoreRules]]] = []
            yield from self._one(root, folder, rules, below)
            waiting += reversed(below)

    def _one(
        self,
        root: str,
        folder: str,
        rules: list[IgnoreRules],
        below: list[tuple[str, list[IgnoreRules]]],
    ) -> Iterator[Found]:
        try:
            with os.scandir(folder) as listed:
                items = sorted(listed, key=lambda item: item.name)
        except OSError as error:
            yield DocumentProblem(folder, f"the folder cannot be read: {error.strerror or error}")
            return
        if not self._everything:
            rules = [*rules, *rules_of(folder, self._complain)]
        yield from self._said()
        for item in items:
            if item.is_dir(follow_symlinks=False):
                why = self._why_not_folder(item, rules)
                if why:
                    yield LeftOut(item.path, why, f"{item.name}/")
                else:
                    below.append((item.path, rules))
            else:
                yield from self._file(root, item, rules)

    def _file(
        self, root: str, item: os.DirEntry[str], rules: Sequence[IgnoreRules]
    ) -> Iterator[Found]:
        suffix = suffix_of(item.name)
        try:
            found = item.stat()
        except FileNotFoundError:
            yield LeftOut(item.path, BROKEN_LINK, suffix)
            return
        except OSError as error:
            yield DocumentProblem(item.path, error.strerror or str(error))
            return
        why = self._why_not_file(item, found, suffix, rules)
        if why:
            yield LeftOut(item.path, why, suffix)
            return
        form = form_of(item.path, self._form)
        yield DocumentSource(item.path, name_of(item.path), form, found.st_size, root)

    def _why_not_folder(self, item: os.DirEntry[str], rules: Sequence[IgnoreRules]) -> str:
        if item.name == ".git":
            return HIDDEN
        if self._everything:
            return ""
        if item.name.startswith("."):
            return HIDDEN
        return filled_by_a_tool(item.path) or (IGNORED if ignored(item.path, True, rules) else "")

    def _why_not_file(
        self,
        item: os.DirEntry[str],
        found: os.stat_result,
        suffix: str,
        rules: Sequence[IgnoreRules],
    ) -> str:
        if stat.S_ISDIR(found.st_mode):
            return LINK_TO_FOLDER
        if not stat.S_ISREG(found.st_mode):
            return NO_FILE
        if not self._everything and item.name.startswith("."):
            return HIDDEN
        if not self._everything and ignored(item.path, False, rules):
            return IGNORED
        return "" if suffix in SUFFIXES else NO_DOCUMENT

    def _complain(self, path: str, why: str) -> None:
        self._problems.append(DocumentProblem(path, why))

    def _said(self) -> Iterator[DocumentProblem]:
        yield from self._problems
        self._problems.clear()
