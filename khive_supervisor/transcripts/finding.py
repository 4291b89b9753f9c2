"""Where the clients keep their transcripts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from khive_supervisor.transcripts import claude, codex
from khive_supervisor.transcripts.reading import TranscriptFile

#: Folders below a client's own that are looked into, and files in all.
_DEPTH, _MOST = 5, 20_000


def roots(home: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Return the directories of transcripts, by client; `variables` may have moved them."""
    own = variables.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude"
    codex_home = variables.get("CODEX_HOME") or f"{home}/.codex"
    return {claude.CLIENT: f"{own}/projects", codex.CLIENT: f"{codex_home}/sessions"}


def transcripts(found: Mapping[str, str], newer_than: float = 0.0) -> Iterator[TranscriptFile]:
    """Yield the transcripts in these directories that were written to after a moment.

    A client's files of subagents are none: what is in them, the session itself tells.
    """
    readers = {claude.CLIENT: claude.read, codex.CLIENT: codex.read}
    left = _MOST
    for client, root in found.items():
        for entry in _files(root, _DEPTH):
            if left and _is_transcript(client, entry.name) and _mtime(entry) >= newer_than:
                left -= 1
                yield TranscriptFile(client, entry.path, readers[client])


def _is_transcript(client: str, name: str) -> bool:
    return name.endswith(".jsonl") and (client != codex.CLIENT or name.startswith("rollout-"))


def _mtime(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0


def _files(folder: str, depth: int) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield entry
        elif depth and entry.name != "subagents" and entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path, depth - 1)
