"""Checking a chain: the first entry that is not as it was written, and what is wrong with it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from khive_supervisor.audit.chain import AuditEntry, Head, Stored, sound_until

#: Where every chain starts.
BEGINNING = Head()


class Fault(enum.Enum):
    """What can be wrong with an entry."""

    CHANGED = "changed"
    MISSING = "missing before it"
    OUT_OF_ORDER = "out of order"
    INSERTED = "inserted"
    DOES_NOT_FOLLOW = "does not follow"
    CUT = "cut"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class ChainBreak:
    """The first broken entry of a chain; where the end was cut, the first one that is gone."""

    seq: int
    fault: Fault
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check.

    Attributes:
        entries: the number up to which all are right.
        head: the last of these.
        heads: how many of the heads that were asked for are in the chain.
        problem: the first that is wrong; None: nothing is.
    """

    entries: int
    head: Head
    heads: int
    problem: ChainBreak | None

    @property
    def intact(self) -> bool:
        """Whether all of it is right, and every head is in it."""
        return self.problem is None

    def as_dict(self) -> dict[str, Any]:
        """Plain data that JSON can carry."""
        found = self.problem
        return {
            "intact": self.intact,
            "entries": self.entries,
            "head": self.head.as_dict(),
            "heads_found": self.heads,
            "problem": None
            if found is None
            else {"seq": found.seq, "fault": found.fault.value, "text": found.text},
        }


class Chain(Protocol):
    """A chain that can be read twice: quickly, and so that what is wrong with it can be told."""

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        """Return the entries after a number as they are stored."""
        ...

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        """Return the same entries."""
        ...


def verify_chain(chain: Chain, heads: Sequence[Head] = (), start: Head = BEGINNING) -> Report:
    """Check a chain as `verify` does, at the price of the hashes where nothing is wrong.

    What is sound is gone through quickly; from the last sound entry on, `verify` says what is not.
    """
    if any(head.seq <= start.seq for head in heads):
        return verify(chain.entries(_after(start)), heads, start)
    wanted: dict[int, set[bytes]] = {}
    for head in heads:
        wanted.setdefault(head.seq, set()).add(head.hash)
    _, before = sound_until(chain.stored(_after(start)), start, wanted)
    left = [head for head in heads if head.seq > before.seq]
    report = verify(chain.entries(_after(before)), left, before)
    return replace(report, heads=report.heads + len(heads) - len(left))


def _after(head: Head) -> int | None:
    """Return the number to read a chain from; of its beginning also what has no right number."""
    return head.seq or None


def verify(
    entries: Iterable[AuditEntry], heads: Sequence[Head] = (), start: Head = BEGINNING
) -> Report:
    """Read a chain from its first entry until something is wrong, or to its end.

    Heads that were taken earlier are looked for on the way: a chain that was cut, or written anew
    from some entry on, is sound in itself and does not contain them. A `start` other than
    the beginning is taken to be right: only what follows it is read.
    """
    wanted = sorted(heads, key=lambda head: head.seq)
    last, before = start, b""
    problem, found = _compare(last, wanted)
    for entry, following in _with_next(entries):
        if problem is not None:
            break
        if entry.seq == last.seq + 1 and entry.previous == last.hash and entry.sound:
            last, before = Head(entry.seq, entry.hash, start.origin), last.hash
            problem, more = _compare(last, wanted[found:])
            found += more
        else:
            problem = _diagnose(entry, following, last, before)
    if problem is None and found < len(wanted):
        problem = _cut(last, wanted[found])
    if problem is not None and problem.seq == last.seq > 0:
        last = Head(last.seq - 1, before, start.origin)  # that one is not right after all
    return Report(last.seq, last, found, problem)


def _diagnose(
    entry: AuditEntry, following: AuditEntry | None, last: Head, before: bytes
) -> ChainBreak:
    """What became of the entry after `last`, by its neighbours."""
    wanted = last.seq + 1
    if entry.seq > wanted:
        one = entry.seq == wanted + 1
        gone = f"Entry {wanted} is" if one else f"Entries {wanted} to {entry.seq - 1} are"
        return ChainBreak(entry.seq, Fault.MISSING, f"{gone} missing before entry {entry.seq}.")
    if entry.seq < wanted:
        text = f"Entry {entry.seq} comes after entry {last.seq}."
        return ChainBreak(entry.seq, Fault.OUT_OF_ORDER, text)
    if following is not None and following.previous == last.hash:
        if following.hash == entry.previous:
            text = f"Entries {wanted} and {following.seq} have changed places."
            return ChainBreak(wanted, Fault.OUT_OF_ORDER, text)
        text = f"Entry {wanted} was inserted: entry {following.seq} follows the one before it."
        return ChainBreak(wanted, Fault.INSERTED, text)
    if entry.hash == last.hash:
        return ChainBreak(wanted, Fault.INSERTED, f"Entry {wanted} is entry {last.seq} once more.")
    if last.seq and entry.previous == before:
        text = f"Entry {last.seq} was inserted: entry {wanted} follows the one before that."
        return ChainBreak(last.seq, Fault.INSERTED, text)
    if entry.hash == entry.hash_as(wanted + 1):
        text = f"What was entry {wanted} is missing; the one after it has its number."
        return ChainBreak(wanted, Fault.MISSING, text)
    if not entry.sound:
        text = f"Entry {wanted} is not as it was written."
        return ChainBreak(wanted, Fault.CHANGED, text)
    text = f"Entry {wanted} does not follow entry {last.seq}, or that one was written anew."
    return ChainBreak(wanted, Fault.DOES_NOT_FOLLOW, text)


def _compare(reached: Head, wanted: Sequence[Head]) -> tuple[ChainBreak | None, int]:
    """Look for the heads of this entry; how many were found."""
    found = 0
    for head in wanted:
        if head.seq > reached.seq:
            break
        if head != reached:
            text = (
                f"Entry {reached.seq} was written anew, or one before it: its hash is not that of "
                "the head."
            )
            return ChainBreak(reached.seq, Fault.REWRITTEN, text), found
        found += 1
    return None, found


def _cut(end: Head, head: Head) -> ChainBreak:
    text = (
        f"The chain ends with entry {end.seq}, and the head is of entry {head.seq}: "
        "the end was cut."
    )
    return ChainBreak(end.seq + 1, Fault.CUT, text)


def _with_next(entries: Iterable[AuditEntry]) -> Iterator[tuple[AuditEntry, AuditEntry | None]]:
    iterator = iter(entries)
    entry = next(iterator, None)
    while entry is not None:
        following = next(iterator, None)
        yield entry, following
        entry = following
