"""An entry as it may be kept: refused or masked by the gate, in one way wherever it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.redaction.gate import Gate
from khive_supervisor.store.model import NewEntry


def gated(gate: Gate, entry: NewEntry) -> NewEntry:
    """Return an entry as it may be kept: the same one if there is nothing to leave out.

    Raises:
        SecretFound: a memory holds a secret, and is to be refused.
        InvalidInput: nothing is left of its content.
    """
    said = entry.collection == "memory"

    def through(text: str, where: str) -> str:
        return gate.said(text, where) if said else gate.written(text)

    found = replace(
        entry,
        title=through(entry.title, "title"),
        content=through(entry.content, "content"),
        tags=tuple(through(tag, "a tag") for tag in entry.tags),
        source=None if entry.source is None else through(entry.source, "source"),
    )
    if entry.content and not found.content.strip():
        raise InvalidInput("All of content is private; there is nothing to store.")
    return entry if found == entry else found


def all_gated(gate: Gate, entries: Sequence[NewEntry]) -> list[NewEntry]:
    """Return entries as they may be kept; raises as `gated` does, before any is stored."""
    return [gated(gate, entry) for entry in entries]
