"""Several pieces of one document are one result: which belong together, and which are shown; pure.

A document stands where its best piece stands. Further pieces are shown with it as far as they would
have been among the results by themselves; the others are counted.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from khive_supervisor.search.evidence import Judged
from khive_supervisor.store.model import Entry

#: Pieces of a document that are shown beside its best one.
FURTHER = 2
#: Results that are looked at for one that is shown, where documents have several pieces among them.
LOOKED_AT = 3
#: Each line of such a file is an entry of its own, whatever it is about.
_RECORDS = re.compile(r"\.(jsonl|ndjson|json)(:\d+)?$", re.IGNORECASE)


@dataclass(slots=True)
class Document:
    """A result: its best piece, the further ones that are shown, and how many are not."""

    best: Judged
    further: list[Judged] = field(default_factory=list)
    unshown: int = 0


def document_of(entry: Entry) -> Hashable:
    """Return what the pieces of one document have in common; of an entry by itself, its id.

    What was learned of one source is one document, and memories that have their source and their
    title in common are: exchanges of a conversation. A source alone says only where they are from.
    """
    named = entry.title if entry.collection == "memory" else entry.source
    if not entry.source or not named or _RECORDS.search(entry.source):
        return entry.id
    title = entry.title if entry.collection == "memory" else ""
    return entry.collection, entry.namespace, entry.project, entry.source, title


def crowded(documents: Sequence[Hashable]) -> bool:
    """Return True if any of these documents is there twice."""
    return len(set(documents)) < len(documents)


def gathered(judged: Sequence[Judged], documents: Sequence[Hashable], limit: int) -> list[Document]:
    """Return the first `limit` documents, in the order of their best pieces.

    `judged` are the pieces in order, and `documents` what each is of.
    """
    found: dict[Hashable, Document] = {}
    for place, (piece, key) in enumerate(zip(judged, documents, strict=True)):
        document = found.get(key)
        if document is None:
            found[key] = Document(piece)
        elif place < limit and len(document.further) < FURTHER:
            document.further.append(piece)
        else:
            document.unshown += 1
    return [*found.values()][:limit]
