"""How the page writes times, sizes and counts. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from khive_supervisor.text import wellformed
from khive_supervisor.text.analysis import STOP_WORDS

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def duration(seconds: float) -> str:
    """Return seconds as people say them: `3 min`."""
    whole = max(0, int(seconds))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def moment(text: str) -> float | None:
    """Return a time of a verb's answer in unix seconds; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def age(text: str, now: float) -> str:
    """Return how long ago a time was, as people say it: `3 min`; what is none stays as it is."""
    at = moment(text)
    return duration(now - at) if at is not None else text


def since(text: str, now: float) -> str:
    """Return how long ago a time was, with the word for it: `3 min ago`."""
    return f"{age(text, now)} ago" if moment(text) is not None else text


def ahead(text: str, now: float) -> str:
    """Return in how long a time is, or how long ago it was; what is none stays as it is."""
    at = moment(text)
    return f"in {duration(at - now)}" if at is not None and at > now else since(text, now)


#: How states are told that are named for programs.
_STATES = {"leased": "at work"}
#: A time within a sentence.
_MOMENT = re.compile(r"\b(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d)?Z")


def state(name: str) -> str:
    """Return a state as people say it."""
    return _STATES.get(name, name)


def prose(text: str) -> str:
    """Return a sentence with the times in it as people read them: `2026-11-30 13:06 UTC`."""
    return _MOMENT.sub(r"\1 \2 UTC", text)


def counted(count: int, one: str) -> str:
    """Return a number with its word: `1 task`, `3 tasks`."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def size(count: float) -> str:
    """Return bytes as people say them: `1.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if unit != "B" else f"{int(count)} B"
        count /= 1000
    return f"{count:.3g} TB"


def as_json(value: object) -> str:
    """Return a text as it is, and anything else as JSON for people."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


#: Characters that act instead of being read: controls but the ends of lines and tabs, and what
#: has letters stand in another order than they are stored in.
_ACTING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e]")


def plain(value: object) -> str:
    """Return a value as text that is Unicode, in which no character acts."""
    return _ACTING.sub("\ufffd", wellformed.text(str(value)))


class Stretch(NamedTuple):
    """A stretch of a text, and whether it is one that was looked for."""

    text: str
    hit: bool


#: An id of a memory or a piece of a document, within a sentence.
_ID = re.compile(r"\b[mk][1-9][0-9]{0,17}\b")


def named(text: str) -> list[Stretch]:
    """Return a sentence of ours in pieces: those that are ids of entries are hits."""
    pieces, start = [], 0
    for found in _ID.finditer(text):
        pieces += [Stretch(text[start : found.start()], hit=False), Stretch(found[0], hit=True)]
        start = found.end()
    return [*pieces, Stretch(text[start:], hit=False)]


def beginning(text: str, lines: int) -> str:
    """Return the first lines of a text."""
    return "\n".join(text.split("\n", lines)[:lines])


def highlighted(text: str, query: str) -> list[Stretch]:
    """Return a text in pieces: those that begin with a word of the query are hits."""
    asked = [word for word in _words(query.casefold()) if len(word) > 1]
    words = [word for word in asked if word not in STOP_WORDS] or asked
    return list(_joined(text, words)) if words else [Stretch(text, hit=False)]


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).split()


def _joined(text: str, words: Sequence[str]) -> Iterator[Stretch]:
    rest = ""
    for token in _tokens(text):
        if token[0].isalnum() and any(_same(token.casefold(), word) for word in words):
            if rest:
                yield Stretch(rest, hit=False)
            rest = ""
            yield Stretch(token, hit=True)
        else:
            rest += token
    if rest:
        yield Stretch(rest, hit=False)


def _same(token: str, word: str) -> bool:
    """Return True if two words have a stem in common: one begins with the other's."""
    stem = word if len(word) < 5 else word[:-1]
    return token == word or (len(stem) > 3 and token.startswith(stem))


def _tokens(text: str) -> Iterator[str]:
    """Return a text cut between words and what is between them."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or text[at].isalnum() != text[at - 1].isalnum():
            yield text[start:at]
            start = at
