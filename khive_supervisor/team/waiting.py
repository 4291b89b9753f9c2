"""Writes that wait on this machine while the team's server is away (pure).

A waiting call is a verb's call as it was made: its arguments as they may be kept, and who made it.
It is made again, once, when the server is back, in the order of their numbers. One that fails for
good is put aside with its error, until somebody has it tried again or drops it.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

from khive_supervisor.team.order import LogPosition
from khive_supervisor.text.plain_json import JsonObject

#: Calls that wait at most, those put aside among them, and bytes of all of them together.
MOST, MOST_BYTES = 10_000, 64 << 20
#: Attempts after which a call is put aside that ends whoever makes it, or cannot be stored.
MOST_ATTEMPTS = 5
#: Characters of a call that a list shows.
GIST = 80
#: The answer's status of a call that waits.
WAITING = "waiting"
_HANDLE = re.compile(r"waiting:([1-9][0-9]{0,17})")


class CallerData(TypedDict):
    """Who made a call, as plain data: what a worker is started with for a session of theirs.

    `client` is the client's name and version.
    """

    request: JsonObject
    client: list[str]
    project_name: str


@dataclass(frozen=True, slots=True)
class CallTime:
    """When a call was made: unix seconds by the machine, and the moment of its boot."""

    wall: float
    boot: str
    since_boot: float

    def seen_at(self, now: float, boot: str, since_boot: float) -> float:
        """Return when it was by the clock that says `now`, as far as that can be known.

        In the same boot whoever set the machine's clock has no say; and never later than now.
        """
        if self.boot and boot == self.boot:
            return now - max(0.0, since_boot - self.since_boot)
        return min(self.wall, now)


@dataclass(frozen=True, slots=True)
class NewWaitingCall:
    """A call that is to wait.

    Attributes:
        namespace: the one that it is about, for those who may see others only.
        arguments: as they may be kept.
        unclear: the change of the log that it is, if the server had it before it was lost.
    """

    time: CallTime
    verb: str
    namespace: str
    arguments: JsonObject
    caller: CallerData
    unclear: LogPosition | None = None


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that waits, or was put aside.

    Attributes:
        number: its place; no number is given twice.
        attempts: how often it was begun to be made, and did not end with an answer.
        error: why it was put aside; empty: it waits.
    """

    number: int
    said: NewWaitingCall
    attempts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many calls wait, since when (unix seconds; None: none do), and how many are put aside."""

    waiting: int = 0
    since: float | None = None
    aside: int = 0

    def age(self, now: float) -> float:
        """Return the seconds for which the oldest waits; 0 without any."""
        return 0.0 if self.since is None else round(max(0.0, now - self.since), 1)

    def __bool__(self) -> bool:
        return bool(self.waiting or self.aside)


class ShownCall(TypedDict):
    """A call that waits, as people and programs see it; without an error it waits."""

    number: int
    at: str
    by: str
    verb: str
    gist: str
    error: str


class CallFate(Enum):
    """What becomes of a call after an attempt."""

    #: It was applied, or had been.
    DONE = "done"
    #: It failed for good.
    ASIDE = "aside"
    #: It is tried again later, and those after it with it.
    LATER = "later"


def fate(attempts: int, *, retryable: bool, away: bool) -> CallFate:
    """Return what becomes of a call whose attempt number `attempts` has failed.

    Args:
        attempts: this one among them.
        retryable: the same call could succeed later.
        away: that is so since the server is away, which is no fault of the call's.
    """
    if away or (retryable and attempts < MOST_ATTEMPTS):
        return CallFate.LATER
    return CallFate.ASIDE


def together(calls: Sequence[WaitingCall], most: int) -> Sequence[WaitingCall]:
    """Return those of the first calls that are made together: `most` writes, or one call.

    A batch is as many writes as it has calls. One that was begun before is made alone: it may be
    the one that nobody survives, or that has all others refused. So is one of which it has to be
    asked first whether it is stored.
    """
    sizes = itertools.accumulate(_size(one) for one in calls)
    alone = (
        at
        for at, (one, size) in enumerate(zip(calls, sizes, strict=True))
        if one.attempts or one.said.unclear or size > most
    )
    return calls[: max(1, next(alone, len(calls)))]


def _size(call: WaitingCall) -> int:
    made = call.said.arguments.get("calls")
    return len(made) if isinstance(made, list) else 1


def handle(number: int) -> str:
    """Return by what a call that waits is named, where ids of entries are."""
    return f"waiting:{number}"


def handled(text: str) -> int | None:
    """Return the number of the call that a handle names; None: it is no handle."""
    found = _HANDLE.fullmatch(text.strip())
    return int(found[1]) if found is not None else None


def gist(arguments: Mapping[str, object]) -> str:
    """Return what a call says in a few words."""
    said = arguments.get("content") or arguments.get("ids") or arguments.get("id")
    if said is None:
        said = " ".join(f"{name}={value}" for name, value in arguments.items())
    if isinstance(said, list):
        said = ", ".join(map(str, said))
    text = " ".join(str(said).split())
    return text if len(text) <= GIST else text[: GIST - 3] + "..."


def shown(call: WaitingCall) -> ShownCall:
    """Return a call as lists of them have it: who made it when, and what it says in a few words."""
    said = call.said
    request = said.caller["request"]
    who = str(dict(request["env"] or {}).get("KHIVE_ACTOR") or request["session"] or "a command")
    client = " ".join(filter(None, said.caller["client"]))
    return {
        "number": call.number,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(said.time.wall)),
        "by": f"{who} ({client})" if client else who,
        "verb": said.verb,
        "gist": gist(said.arguments),
        "error": call.error,
    }


def within(calls: Iterable[WaitingCall], namespaces: Collection[str] | None) -> list[WaitingCall]:
    """Return the calls that are about some namespaces alone; None: all of them.

    A batch is of its caller's namespace, and may name others: only who sees all sees it.
    """
    if namespaces is None:
        return list(calls)
    return [
        one
        for one in calls
        if one.said.namespace in namespaces and "calls" not in one.said.arguments
    ]


def matching(calls: Sequence[WaitingCall], words: Collection[str]) -> list[WaitingCall]:
    """Return the calls that bring a text with at least half of some words, the best ones first.

    Args:
        calls: in their order; of those that fit as well, the newest is first.
        words: in lower case; without any, every text fits.
    """
    fits = [
        (sum(word in _text(one.said.arguments) for word in words), one)
        for one in reversed(calls)
        if isinstance(one.said.arguments.get("content"), str)
    ]
    best = sorted((pair for pair in fits if 2 * pair[0] >= len(words)), key=lambda pair: -pair[0])
    return [one for _, one in best]


def _text(arguments: Mapping[str, object]) -> str:
    return f"{arguments.get('title', '')} {arguments.get('content', '')}".lower()


def told(number: int, standing: Standing, *, unclear: bool = False) -> str:
    """Return what whoever made a call that waits is told.

    `unclear`: it may be stored already.
    """
    if unclear:
        return (
            f"The team's server was lost while this was stored, so it is kept on this machine as "
            f"waiting write {number}, too. Once the server is back it is asked whether it has it, "
            "and has it stored if not; do not repeat it."
        )
    before = standing.waiting - 1
    earlier = "an earlier one" if before == 1 else f"{before} earlier ones"
    why = f"behind {earlier}" if before > 0 else "since the team's server is away"
    return (
        f"It is kept on this machine as waiting write {number}, {why}: it is not with the team "
        f"yet, and has no id; get reads it as {handle(number)}. It is stored by itself, in its "
        "order, once the server is back; do not repeat it."
    )
