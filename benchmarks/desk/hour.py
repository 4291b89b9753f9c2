"""A page that is open for an hour before a fleet at work: what it costs the HTTP worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation
from benchmarks.core.processes import memory_of, processor_seconds
from benchmarks.core.report import Row, say
from benchmarks.core.session import Session
from benchmarks.desk.fleet import ENTRIES, QUICK_ENTRIES, SESSIONS, client_of, filled, tell
from benchmarks.desk.reader import OpenPage, PageReader
from khive_supervisor.errors import KhiveError

#: Seconds for which the page is open, and with --quick.
OPEN, QUICK_OPEN = 3600.0, 60.0
#: Sessions that are attached, beside those that hooks tell of.
ATTACHED = 5
#: Seconds between two things that happen: a prompt, an answer, or a call of a session.
PACE = 10.0
#: Things that happen between two words of how it goes.
SAY_EVERY = 30
#: A part of a core, and bytes.
SHARE, GROWTH = 0.01, 5e6


def measure(context: Context) -> list[Row]:
    """The row of the hour; it takes one."""
    count = QUICK_ENTRIES if context.quick else ENTRIES
    seconds = QUICK_OPEN if context.quick else OPEN
    with filled(context, count) as khive, PageReader(khive) as reader, ExitStack() as stack:
        sessions = [stack.enter_context(Session(khive.attach())) for _ in range(ATTACHED)]
        for session in sessions:
            session.initialize()
        return [_open(khive, reader, sessions, seconds, count)]


def _open(
    khive: Installation, reader: PageReader, sessions: list[Session], seconds: float, count: int
) -> Row:
    pid = next(c["pid"] for c in khive.status()["children"] if c["name"] == "http")
    page = OpenPage(reader)
    page.changed.wait(10.0)
    for number in range(3):  # what is read once and kept is no growth
        _happen(khive, sessions, number)
    say(f"a page is open for {seconds / 60:g} minutes")
    asked, begun = page.asked, _Moment.of(pid)
    missed = _live(khive, sessions, seconds, lambda: _said(begun.until(_Moment.of(pid))))
    since = begun.until(_Moment.of(pid))
    page.close()
    return Row(
        what=f"a page open for {seconds / 60:g} minutes, {count:,} entries, {SESSIONS} sessions "
        f"of hooks and {ATTACHED} attached",
        target=f"< {SHARE:.0%} of a core, < {GROWTH / 1e6:g} MB",
        khive=f"{since.used / seconds:.2%} of a core, {since.memory / 1e6:+.2f} MB (PSS)",
        met=since.used / seconds < SHARE and since.memory < GROWTH,
        notes=(
            f"Something happened every {PACE:g} s ({missed} times the machine was too busy).",
            f"The page asked anew {page.asked - asked} times.",
        ),
        data={"seconds": seconds, "processor": since.used, "growth_bytes": since.memory},
    )


@dataclass(frozen=True, slots=True)
class _Moment:
    """What a process had used and held at a moment, or between two: seconds, and bytes (PSS)."""

    at: float
    used: float
    memory: int

    @classmethod
    def of(cls, pid: int) -> Self:
        found = memory_of(pid)
        return cls(time.monotonic(), processor_seconds([pid]), found.rest + found.index)

    def until(self, later: _Moment) -> _Moment:
        return _Moment(later.at - self.at, later.used - self.used, later.memory - self.memory)


def _said(since: _Moment) -> None:
    share, grown = since.used / since.at, since.memory / 1e6
    say(f"after {since.at / 60:.0f} minutes: {share:.2%} of a core, {grown:+.2f} MB")


def _live(
    khive: Installation, sessions: list[Session], seconds: float, tell_so_far: Callable[[], None]
) -> int:
    """Have something happen in turn until the time is over; how often that came to nothing."""
    until, number, missed = time.monotonic() + seconds, 0, 0
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(PACE, left))
        try:
            _happen(khive, sessions, number)
        except KhiveError as error:  # an hour is too dear for a machine that is busy for seconds
            say(f"after {seconds - left:.0f} s: {error}")
            missed += 1
        number += 1
        if number % SAY_EVERY == 0:
            tell_so_far()
    return missed


def _happen(khive: Installation, sessions: list[Session], number: int) -> None:
    if number % 3 == 2:
        sessions[number % len(sessions)].search(f"service {number} flag")
        return
    session, prompt = f"s{number // 3 % SESSIONS}", "" if number % 3 else f"Look at {number}."
    with client_of(khive, session) as client:
        tell(client, khive, session, prompt)
