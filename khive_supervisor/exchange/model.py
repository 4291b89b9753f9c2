"""What a reader of a foreign file gives: records, what was lost on the way, and what is broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from khive_supervisor.text.plain_json import JsonObject

#: Bytes of one line and of one file that is read as a whole.
LINE_LIMIT, FILE_LIMIT = 8 * 1024 * 1024, 64 * 1024 * 1024
#: Characters of a title, and tags of an entry, and characters of a tag.
TITLE_LIMIT, TAGS_LIMIT, TAG_LENGTH = 300, 32, 64


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record, and where it stands; `problem` says why there is none."""

    where: str
    record: JsonObject = field(default_factory=dict)
    problem: str = ""


@dataclass(slots=True)
class ReadFile:
    """A file as it is read.

    `store` names where the numbers of its records come from; `lost` counts what this project has
    no place for, by what it is.
    """

    store: str
    records: Iterator[FoundRecord]
    lost: Counter[str]


def memory(
    content: str,
    *,
    title: str = "",
    tags: list[str] | None = None,
    source: str = "",
    created_at: float | None = None,
) -> JsonObject:
    """Return the record of a memory that another program had; without what it does not say."""
    labels = (" ".join(tag.split()).strip("#")[:TAG_LENGTH] for tag in tags or ())
    record: JsonObject = {
        "type": "entry", "collection": "memory", "kind": "semantic", "content": content.strip(),
        "title": " ".join(title.split())[:TITLE_LIMIT],
        "tags": list(dict.fromkeys(filter(None, labels)))[:TAGS_LIMIT],
    }  # fmt: skip
    if source:
        record["source"] = source
    if created_at is not None:
        record["created_at"] = created_at
    return record
