"""What becomes of a document: entries, what was left out of it, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Required, TypedDict

#: Characters of a piece: about what the bundled model takes in (256 word pieces).
PIECE = 1200
#: A piece shorter than this is joined to the next of the same section.
SMALL = 200
#: Characters of a title.
TITLE_LIMIT = 300
#: A JSON Lines entry is kept whole up to here: who made it has cut it already.
WHOLE = 16_000
#: Tags of a document, and characters of one: what an entry may have.
TAGS_LIMIT, TAG_LENGTH = 32, 64


@dataclass(frozen=True, slots=True)
class DocumentProblem:
    """Something that could not be learned, and why; the rest goes on."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was not learned on purpose: counted, and said in the summary.

    `suffix` is that of a file, or what else tells things of one reason apart.
    """

    source: str
    why: str
    suffix: str = ""


class DocumentEntry(TypedDict, total=False):
    """An entry to be learned; `locator` is the place in the source, no part of its identity."""

    content: Required[str]
    source: Required[str]
    title: str
    tags: list[str]
    kind: str
    locator: str
