"""Which format a file or folder has, and what it holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from khive_supervisor.errors import InvalidInput
from khive_supervisor.exchange import basic_memory, claude_mem, json_graphs, notes, own
from khive_supervisor.exchange.claude_mem import Rows
from khive_supervisor.exchange.model import LINE_LIMIT, ReadFile

AUTO = "auto"
_SQLITE = b"SQLite format 3\0"
_CLAUDE = frozenset({"memory.md", "claude.md", "claude.local.md", "agents.md"})
#: Of each format what reads it; claude-mem's needs a way to a database besides.
_READERS: Mapping[str, Callable[[str], ReadFile]] = {
    "jsonl": own.read,
    "server-memory": json_graphs.read_server_memory,
    "basic-memory": basic_memory.read,
    "mem0": json_graphs.read_mem0,
    "claude": notes.read_claude,
    "markdown": notes.read_markdown,
}
CLAUDE_MEM = "claude-mem"
FORMATS = (AUTO, *_READERS, CLAUDE_MEM)


def read(path: str, form: str, rows: Rows) -> tuple[str, ReadFile]:
    """Return the format of a file or folder, and what it holds.

    `rows` asks a SQLite file that it opens for reading alone.

    Raises:
        InvalidInput: there is no such file, it has no known format, or cannot be read.
    """
    try:
        known = detected(path) if form == AUTO else form
        reader = _READERS.get(known)
        return known, claude_mem.read(path, rows) if reader is None else reader(path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None


def read_again(path: str, form: str, rows: Rows) -> ReadFile:
    """Return what a file holds that was looked through; its records are not checked once more.

    Raises:
        InvalidInput: it is not there any more, or cannot be read.
    """
    return own.read(path, checked=False) if form == "jsonl" else read(path, form, rows)[1]


def detected(path: str) -> str:
    """Return the format of a file or folder.

    Raises:
        InvalidInput: it has none that is known.
        OSError: it cannot be read.
    """
    if os.path.isdir(path):
        return _of_folder(path)
    if not os.path.isfile(path):
        raise InvalidInput(f"{path} is no file or folder." if os.path.lexists(path)
                           else f"There is no {path}.")  # fmt: skip
    if path.lower().endswith((".md", ".markdown")):
        return _of_markdown(path)
    with open(path, "rb") as file:
        first = file.readline(LINE_LIMIT + 1)
    if first.startswith(_SQLITE):
        return CLAUDE_MEM
    found = "jsonl" if own.is_own(first) else json_graphs.format_of(first, path)
    if not found:
        raise InvalidInput(
            f"{path} has no format that is known here.",
            hint=f"Name it with --format: {', '.join(FORMATS[1:])}.",
        )
    return found


def _of_folder(path: str) -> str:
    names = {name.lower() for name in os.listdir(path)}
    if names & _CLAUDE:
        return "claude"
    return "basic-memory" if basic_memory.is_one_of_its(notes.files(path)) else "markdown"


def _of_markdown(path: str) -> str:
    if os.path.basename(path).lower() in _CLAUDE:
        return "claude"
    return "basic-memory" if basic_memory.is_one_of_its(notes.files(path)) else "markdown"
