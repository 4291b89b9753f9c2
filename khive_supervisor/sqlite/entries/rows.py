"""Entries as rows: what may become one, and what one is as a value."""

from __future__ import annotations

import json
import math
from typing import Any

from khive_supervisor.errors import InvalidInput
from khive_supervisor.store.model import Entry, NewEntry

COLUMNS = (
    "id, collection, namespace, kind, title, content, tags, salience, decay, source, "
    "content_hash, created_at, updated_at, deleted_at, superseded_by, purged_at, project_id, "
    "branch, commit_id, provenance_id, valid_from, valid_until"
)
#: The attributes of `Entry`, in the order of the columns.
_FIELDS = tuple(name.removesuffix("_id") for name in COLUMNS.split(", "))

COLLECTIONS = ("memory", "knowledge", "execution")


def check(entry: NewEntry) -> None:
    """Refuse what the table would refuse, in words that help."""
    if entry.collection not in COLLECTIONS:
        raise InvalidInput(f"The collection is {' or '.join(COLLECTIONS)}, not {entry.collection}.")
    if not 0.0 <= entry.salience <= 1.0:
        raise InvalidInput(f"The salience is between 0 and 1, not {entry.salience}.")
    if not (math.isfinite(entry.decay) and entry.decay >= 0.0):
        raise InvalidInput(f"The decay is a number of at least 0, not {entry.decay}.")
    if entry.created_at is not None and not math.isfinite(entry.created_at):
        raise InvalidInput(f"The date of creation is a finite number, not {entry.created_at}.")
    texts = (entry.namespace, entry.kind, entry.title, entry.content, entry.source or "")
    for text in (*texts, *entry.tags):
        _check_text(text)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"A text is not valid Unicode: {error.reason} at character {error.start}.",
            hint="Replace lone surrogates.",
        ) from None


def as_new(entry: Entry) -> NewEntry:
    """Return what an entry says, as it would be stored once more."""
    return NewEntry(
        entry.collection, entry.namespace, entry.kind, entry.title, entry.content, entry.tags,
        source=entry.source, project=entry.project,
    )  # fmt: skip


def entry_of(row: tuple[Any, ...]) -> Entry:
    """Return the entry of a row of COLUMNS."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["tags"] = tuple(json.loads(values["tags"]))
    return Entry(**values)
