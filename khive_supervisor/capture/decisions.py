"""Decisions in what a user and an agent say to each other; pure.

A user's sentence is a decision if it rules something and is neither a question, nor guessed, nor
told of the past, nor somebody else's words. In reply to what an agent proposed or asked, less is
enough: that is where projects are ruled. An agent's sentence is one only where it restates what the
user has said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from khive_supervisor.briefing.sentences import utterances
from khive_supervisor.capture import prose, signs
from khive_supervisor.capture.model import FindingKind, SessionFinding
from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker
from khive_supervisor.truth.reading import stemmed

#: Shares of an agent's words and literals that are the user's, for it to be the user's word.
_RESTATED_WORDS = 0.6
#: Of so many figures of an agent's, one may be its own: it works out what the user has said.
_FIGURES = 4
_WORD = re.compile(r"[A-Za-z]{3,}|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one speaker says until the other does: the event that began it, and its sentences."""

    event: JournalEvent
    sentences: tuple[str, ...]
    #: Those that pass nothing on.
    own: tuple[str, ...]

    @property
    def users(self) -> bool:
        return self.event.speaker == Speaker.USER


def decisions(events: Sequence[JournalEvent]) -> list[SessionFinding]:
    """Return what is ruled in a session, in order; the events are of one session."""
    turns = list(_turns(events))
    found: list[SessionFinding] = []
    said: set[str] = set()
    for place, turn in enumerate(turns):
        before = turns[place - 1] if place else None
        found += _by_user(turn, before) if turn.users else _by_agent(turn, said)
        if turn.users:
            said |= _words(" ".join([*turn.own, *_agreed_to(turn, before)]))
    return found


def _agreed_to(turn: _Turn, before: _Turn | None) -> tuple[str, ...]:
    """Return what an agent has asked or proposed, if the user's turn begins by agreeing to it."""
    agrees = turn.own and signs.AGREES.match(turn.own[0])
    return tuple(one for one in _end(before) if before and one in before.own) if agrees else ()


def _turns(events: Sequence[JournalEvent]) -> Iterator[_Turn]:
    for event in events:
        spoken = event.kind in (EventKind.PROMPT, EventKind.CORRECTION, EventKind.ANSWER)
        if spoken and event.speaker != Speaker.TOOL:
            found = tuple(one.text for one in utterances(prose.own_words(event.text)))
            yield _Turn(event, found, tuple(prose.trusted(found)))


def _by_user(turn: _Turn, before: _Turn | None) -> list[SessionFinding]:
    replies = before is not None and not before.users and _proposes(before)
    asked = (
        replies and before is not None and any(one.endswith("?") for one in before.sentences[-2:])
    )
    sure: list[str] = []
    unsure: list[str] = []
    own = frozenset(turn.own)
    for sentence in turn.sentences:
        if rule := _rule(sentence, replies, asked):
            (sure if rule != "guess" and sentence in own else unsure).append(sentence)
    return [
        *_finding(turn, sure, "ruled", sure=True),
        *_finding(turn, unsure, "perhaps-ruled", sure=False),
    ]


def _end(turn: _Turn | None) -> tuple[str, ...]:
    """Return the sentences that a turn ends with."""
    return turn.sentences[-2:] if turn is not None else ()


def _proposes(turn: _Turn) -> bool:
    """Return True if an agent's turn leaves something to be ruled."""
    if any(signs.PROPOSES.search(one) for one in turn.sentences if not one.endswith("?")):
        return True
    asked = [one for one in _end(turn) if one.endswith("?")]
    return any(signs.PROPOSES.search(one) or not signs.INQUIRY.search(one) for one in asked)


def _rule(sentence: str, replies: bool, asked: bool) -> str:
    """Return by which sign a user's sentence rules something; "guess" if that is not sure."""
    if signs.ASSENT.match(sentence):
        return ""
    head = signs.WHY.split(sentence)[0]
    lasting = signs.LASTING.search(sentence) is not None
    if signs.GUESSED.search(head):
        return "guess" if lasting else ""
    past = signs.PAST.search(head) is not None
    if lasting and not past:
        return "lasting"
    ruled = _reply_rule(sentence, head, past, asked) if replies else ""
    return ruled or ("guess" if lasting else "")


def _reply_rule(sentence: str, head: str, past: bool, asked: bool) -> str:
    literals = len(signs.LITERAL.findall(sentence))
    if signs.TRIED.search(sentence):
        return "tried"
    if "flaky" in sentence or (not past and signs.FIRM.search(sentence)):
        return "firm"
    if past:
        return ""
    if signs.IMPERATIVE.match(sentence):
        return "told"
    if asked and signs.ANSWER.match(sentence) and (literals or len(sentence) < signs.SHORT):
        return "answer"
    if literals and signs.RULING.search(head) and not signs.BEHAVES.search(sentence):
        return "literal"
    return ""


def _by_agent(turn: _Turn, said: set[str]) -> list[SessionFinding]:
    """Return what an agent restates of what the user has said."""
    if not signs.RECAP.search(" ".join(turn.sentences[:6])):
        return []
    restated = [one for one in turn.own if _restates(one, said)]
    return list(_finding(turn, restated, "restated", sure=True))


def _restates(sentence: str, said: set[str]) -> bool:
    words = _words(sentence)
    if len(words) < 4 or signs.PLANNED.search(sentence):
        return False
    figures = {word for word in words if word[0].isdigit()}
    rules = signs.RULING.search(sentence) or signs.LITERAL.search(sentence)
    made_up = len(figures - said) * _FIGURES > len(figures)
    return bool(rules) and not made_up and len(words & said) >= _RESTATED_WORDS * len(words)


def _words(text: str) -> set[str]:
    return {stemmed(word.lower()) for word in _WORD.findall(text)}


def _finding(
    turn: _Turn, sentences: Sequence[str], rule: str, *, sure: bool
) -> Iterator[SessionFinding]:
    if sentences:
        event = turn.event
        yield SessionFinding(
            FindingKind.DECISION, rule, " ".join(sentences), event.speaker, sure, event.id,
            event.at, tuple(sentences),
        )  # fmt: skip
