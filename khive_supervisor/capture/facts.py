"""What becomes of a session's findings: facts, candidates, a digest; pure.

Decisions of one session are kept together, in the order in which they were made, so that each is
read with those that it belongs to. What was said later in the same words is not said twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from khive_supervisor.capture import commands, decisions, digests, fixes
from khive_supervisor.capture.model import FindingKind, SessionFinding
from khive_supervisor.store.journal.model import JournalEvent, Speaker

#: Characters of decisions that are one fact.
_TOGETHER = 1_600
#: Facts of a session, and candidates, so that no session fills the memory by itself.
MOST_FACTS, MOST_CANDIDATES = 40, 20


@dataclass(frozen=True, slots=True)
class CapturedFact:
    """What is to be an entry.

    `part` names it among what the session became: a later look at the same session finds by it
    what it has become already. `speaker` is whose word it is, `at` when the last of it was said.
    """

    part: str
    kind: str
    title: str
    content: str
    speaker: str
    at: float


@dataclass(frozen=True, slots=True)
class SessionLearning:
    """What is learned from a session: what becomes facts, and what is to be reviewed."""

    facts: tuple[CapturedFact, ...]
    candidates: tuple[SessionFinding, ...]


def learned(events: Sequence[JournalEvent], *, ended: bool) -> SessionLearning:
    """Return what is learned from a session by its events; its digest only once it has ended."""
    short = digests.digest(events)
    title = short.title if short else ""
    found = [*decisions.decisions(events), *commands.commands(events), *fixes.fixes(events)]
    sure = [one for one in found if one.sure]
    facts = [*_together([one for one in sure if one.kind == FindingKind.DECISION], title)]
    facts += [_alone(one) for one in sure if one.kind != FindingKind.DECISION]
    if ended and short is not None:
        digest = CapturedFact("digest", "episodic", title, short.content, Speaker.AGENT, short.at)
        facts.append(digest)
    unsure = tuple(one for one in found if not one.sure)
    return SessionLearning(tuple(facts[-MOST_FACTS:]), unsure[:MOST_CANDIDATES])


def _together(found: Sequence[SessionFinding], title: str) -> Iterator[CapturedFact]:
    """Yield decisions as facts of a bounded length; each sentence once."""
    said: set[str] = set()
    group: list[SessionFinding] = []
    lines: list[str] = []
    number = 0
    for one in found:
        line = " ".join(text for text in one.sentences if _key(text) not in said)
        said |= {_key(text) for text in one.sentences}
        if not line:
            continue
        if lines and sum(map(len, lines)) + len(line) > _TOGETHER:
            yield _joined(number, title, lines, group)
            number, group, lines = number + 1, [], []
        lines.append(line)
        group.append(one)
    if lines:
        yield _joined(number, title, lines, group)


def _joined(
    number: int, title: str, lines: Sequence[str], group: Sequence[SessionFinding]
) -> CapturedFact:
    users = any(one.speaker == Speaker.USER for one in group)
    speaker = Speaker.USER if users else Speaker.AGENT
    at = max(one.at for one in group)
    part = f"decisions-{number}"
    return CapturedFact(part, FindingKind.DECISION, title, "\n".join(lines), speaker, at)


def _alone(found: SessionFinding) -> CapturedFact:
    part = f"{found.kind}: {found.title}"
    return CapturedFact(part, found.kind, found.title, found.text, found.speaker, found.at)


def _key(text: str) -> str:
    return " ".join(text.casefold().split())
