"""The digest of a session: what its user said, what came of it, what was done; pure.

It is what later sessions find of what no rule was sure of. Nothing that a tool, a page or a paste
said is in it, nor what only tells of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from khive_supervisor.briefing.extract import decides
from khive_supervisor.briefing.sentences import utterances
from khive_supervisor.capture import commands, decisions, fixes, prose
from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker

#: Characters of a digest, of one turn of a user, of one of an agent, and of its last answer.
LONGEST, _USER, _AGENT, _LAST = 7_000, 900, 420, 1_200
_TITLE = 100
#: Files and commands that are named.
_NAMED = 12


@dataclass(frozen=True, slots=True)
class SessionDigest:
    """A session in short: a title of one line, and its content, a line for each turn."""

    title: str
    content: str
    at: float


def digest(events: Sequence[JournalEvent]) -> SessionDigest | None:
    """Return the digest of a session; None if its user said nothing with words of their own."""
    spoken = [one for one in events if one.speaker != Speaker.TOOL]
    answers = [one for one in spoken if one.kind == EventKind.ANSWER]
    last = answers[-1].id if answers else -1
    ruled = _ruled(events)
    begins = next((one for one in spoken if _first(one)), None)
    if begins is None:
        return None
    lines = [
        line.replace("user: ", "asked: ", 1) if one is begins else line
        for one in spoken
        for line in _lines(one, ruled, is_last=one.id == last)
    ]
    content = "\n".join([*_within(lines, LONGEST), *_done(events)])
    return SessionDigest(_title(_first(begins)), content, events[-1].at)


def _ruled(events: Sequence[JournalEvent]) -> Mapping[tuple[int, str], str]:
    """Return how each sentence that rules is marked, by its event and itself."""
    found = [one for one in decisions.decisions(events) if one.sure]
    return {
        (one.event, sentence): "settled" if one.speaker == Speaker.AGENT else "decided"
        for one in found
        for sentence in one.sentences
    }


def _first(event: JournalEvent) -> str:
    """Return what a prompt begins with; empty for all else."""
    is_prompt = event.kind in (EventKind.PROMPT, EventKind.CORRECTION)
    return " ".join(_told(event.text)[:2]) if is_prompt else ""


def _lines(
    event: JournalEvent, ruled: Mapping[tuple[int, str], str], *, is_last: bool
) -> Iterator[str]:
    """Yield the lines of a turn: one for each stretch of sentences that are marked alike."""
    speaker, sentences = _turn(event, is_last=is_last)
    marked = [(ruled.get((event.id, one), speaker), one) for one in sentences]
    for mark, stretch in groupby(marked, lambda one: one[0]):
        yield f"{mark}: {' '.join(text for _, text in stretch)}"


def _turn(event: JournalEvent, *, is_last: bool) -> tuple[str, list[str]]:
    if event.kind in (EventKind.PROMPT, EventKind.CORRECTION):
        return "user", _cut(_told(event.text), _USER)
    if event.kind != EventKind.ANSWER:
        return "", []
    told = _told(event.text) if is_last else _kept(event.text)
    return "agent", _cut(told, _LAST if is_last else _AGENT)


def _told(text: str) -> list[str]:
    """Return a speaker's own sentences, without those that pass on what others say to do."""
    return prose.trusted([one.text for one in utterances(prose.own_words(text))])


def _kept(text: str) -> list[str]:
    """Return what later sessions want of an agent's turn: what it settles, and what it asks."""
    own = _told(text)
    return [one for one in own if decides(one) or (one is own[-1] and one.endswith("?"))]


def _cut(sentences: Sequence[str], most: int) -> list[str]:
    kept: list[str] = []
    for one in sentences:
        if sum(map(len, kept)) + len(one) > most:
            break
        kept.append(one)
    return kept


def _within(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines that fit, of the beginning and of the end."""
    if sum(map(len, lines)) <= most:
        return list(lines)
    head, tail, left = 0, len(lines), most
    while head < tail:
        line = lines[tail - 1] if head * 2 > len(lines) - tail else lines[head]
        left -= len(line)
        if left < 0:
            break
        if line is lines[tail - 1]:
            tail -= 1
        else:
            head += 1
    return [*lines[:head], "…", *lines[tail:]]


def _done(events: Sequence[JournalEvent]) -> Iterator[str]:
    paths = list(dict.fromkeys(one.path for one in events if one.kind == EventKind.EDIT))
    if paths:
        yield f"edited: {', '.join(paths[:_NAMED])}"
    worked = [one.title.removeprefix("Command: ") for one in commands.commands(events)]
    if worked:
        yield f"ran: {', '.join(f'`{one}`' for one in worked[:_NAMED])}"
    for one in fixes.fixes(events)[:_NAMED]:
        if not prose.dangerous(one.text):
            yield f"fixed: {one.text}"


def _title(text: str) -> str:
    first = utterances(text)[0].text if text else ""
    return first if len(first) <= _TITLE else first[: _TITLE - 1].rsplit(" ", 1)[0] + "…"
