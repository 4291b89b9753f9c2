"""What rules find in a session's journal; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: What marks entries that nobody has said on purpose, and the digests of sessions among them.
CAPTURED, DIGEST = "captured", "session-digest"


class FindingKind(StrEnum):
    """What was found; the same words are the kinds of candidates."""

    DECISION = "decision"
    FIX = "fix"
    COMMAND = "command"
    DIGEST = "digest"


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """Something that a session came to.

    `sure`: it becomes a fact by itself; otherwise a candidate for review. `sentences` are those of
    the event that it is made of, `text` what is kept, `speaker` whose word it is; `event` is the
    id of the event, `at` its time. `path` is the file that it is about, where there is one.
    """

    kind: FindingKind
    rule: str
    text: str
    speaker: str
    sure: bool
    event: int
    at: float = 0.0
    sentences: tuple[str, ...] = ()
    title: str = ""
    path: str = ""
