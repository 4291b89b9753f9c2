"""The sentences of a text of any form: prose, chats, lists, messages of commits, code; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Characters of a text that are read; what follows is left out.
LONGEST = 60_000
#: Characters of a sentence; a longer one is cut at its clauses, or anywhere.
LONGEST_SENTENCE = 320
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[`*]*[A-Z0-9`*])|\n+")
#: Characters of a line from which on the next one may be a part of it, unless it ends so.
_WRAPPED, _ENDS = 50, ".!?:"
_CLAUSE = re.compile(r"(?<=[;:,])\s+|\s+[-–—]+\s+")
#: Who speaks, as chats are written down: "user: ...", "**Assistant**: ...".
_SPEAKER = re.compile(
    r"^[\s*#>\[]*(user|human|me|assistant|agent|ai|claude|codex|system|tool|asked|decided|settled)\b[\s*\]]*:\s*",
    re.IGNORECASE,
)
_USERS = frozenset(("user", "human", "me", "asked"))
_MARK = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)]|#{1,6}|>)\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|no|dr|mr|ms|st)|\b[A-Z])\.$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence, and how it stands: its place among all, and who says it ("" if nobody is named).

    `joined`: it goes on where the one before it was cut.
    """

    place: int
    text: str
    speaker: str = ""
    joined: bool = False

    @property
    def users(self) -> bool:
        """Return True if a user says it."""
        return self.speaker in _USERS


def utterances(text: str) -> list[Utterance]:
    """Return the sentences of a text, in order, without the marks of lists and headings."""
    found: list[Utterance] = []
    speaker = ""
    for line in _unwrapped(text[:LONGEST]):
        if (turn := _SPEAKER.match(line)) is not None:
            speaker, line = turn[1].lower(), line[turn.end() :]  # noqa: PLW2901 - what is left
        for sentence in _sentences(_MARK.sub("", line)):
            for number, piece in enumerate(_pieces(sentence)):
                found.append(Utterance(len(found), piece, speaker, number > 0))
    return found


def _unwrapped(text: str) -> list[str]:
    """Return the lines of a text; those that were broken only to be short are one."""
    lines: list[str] = []
    fenced = wraps = False
    for line in text.split("\n"):
        fence = line.lstrip().startswith(("```", "~~~"))
        begins = fence or not line.strip() or _MARK.match(line) or _SPEAKER.match(line)
        if wraps and not begins:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
        fenced ^= fence
        wraps = not fenced and len(line) >= _WRAPPED and line.rstrip()[-1:] not in _ENDS
    return lines


def _sentences(line: str) -> list[str]:
    """Return the sentences of a line; what ends with an abbreviation goes on."""
    found: list[str] = []
    for part in _END.split(line):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += " " + part.strip()
        elif part.strip():
            found.append(part.strip())
    return found


def _pieces(sentence: str) -> list[str]:
    """Return a sentence, or its clauses put together as far as they are short enough."""
    if len(sentence) <= LONGEST_SENTENCE:
        return [sentence]
    pieces = [""]
    for clause in _CLAUSE.split(sentence):
        if pieces[-1] and len(pieces[-1]) + len(clause) >= LONGEST_SENTENCE:
            pieces.append("")
        pieces[-1] = f"{pieces[-1]} {clause}".strip()
    return [part for piece in pieces for part in _cut(piece)]


def _cut(piece: str) -> list[str]:
    steps = range(0, len(piece), LONGEST_SENTENCE)
    return [piece[start : start + LONGEST_SENTENCE] for start in steps]
