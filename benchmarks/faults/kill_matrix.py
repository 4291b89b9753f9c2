"""Whether sessions go on, and nothing acknowledged is lost, while everything around them is killed.

Everything but the clients' own processes is a victim, one at random every 0.5 to 2 s and all of
them at once every 15 s, so that starts are hit at any moment, too. `kills` sends SIGKILL alone;
`kill-matrix` stops half of its victims instead, which nobody continues. Only the supervisor is
ended by its user after a while, as every command and session on a stopped one says.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import command_of, kill, processes_of
from benchmarks.core.report import Row
from benchmarks.core.session import Session
from khive_supervisor.host import processes

SESSIONS = 10
#: Seconds of killing; in a quick run.
SECONDS, QUICK_SECONDS = 300.0, 60.0
#: Seconds between two victims; between two kills of everything.
BETWEEN, ALL_EVERY = (0.5, 2.0), 15.0
#: Seconds in which every call must be answered, and after which a session counts as hung.
LIMIT, GIVEN_UP = 10.0, 90.0
#: Seconds after which it is noted who is there.
LONG = 5.0
#: Seconds for which a supervisor stays stopped until its user ends it.
USER_AFTER = 8.0
#: Seconds between two writes of a session.
PACE = 0.05
#: Seconds before the longest call of which the blows are told.
BEFORE = 5.0
#: Seconds after the sessions' end in which everything must be gone.
GONE_WITHIN = 20.0


class Messages:
    """What a session has said to its user, and when."""

    def __init__(self) -> None:
        self._read, self.end = os.pipe()
        self._said: list[tuple[float, str]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with open(self._read, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._said.append((time.monotonic(), line.strip()))

    def during(self, began: float, took: float) -> list[str]:
        """What was said during a call, each with the seconds since its beginning."""
        return [f"{at - began:+.1f} {text}" for at, text in self._said if 0 <= at - began <= took]


@dataclass(slots=True)
class Writer:
    """One client that writes without pause, and remembers what was acknowledged."""

    number: int
    session: Session
    messages: Messages
    acknowledged: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    began: float = 0.0
    longest: float = 0.0
    longest_at: float = 0.0
    ended: str = ""

    def run(self, until: float) -> None:
        """Write until then, and once more."""
        try:
            turn = 0
            while time.monotonic() < until:
                self._write(f"Session {self.number} wrote line {turn}.")
                turn += 1
                time.sleep(PACE)
            self._write(f"Session {self.number} wrote its last line.")
        except (RuntimeError, OSError) as error:
            self.ended = str(error) or repr(error)

    def _write(self, content: str) -> None:
        began = self.began = time.monotonic()
        params = {"name": "memory_remember", "arguments": {"content": content}}
        self.session.send("tools/call", params)
        answer = self._answer(began)
        took, self.began = time.monotonic() - began, 0.0
        if took > self.longest:
            self.longest, self.longest_at = took, began
        result = answer.get("result", {})
        if "error" in answer or result.get("isError"):
            self.refused[json.dumps(answer)[:160]] += 1
        else:
            self.acknowledged.append(content)

    def _answer(self, began: float) -> dict[str, Any]:
        """The answer to the last call; RuntimeError if the session ends, or hangs."""
        wanted = self.session.sent
        while True:
            left = began + GIVEN_UP - time.monotonic()
            if (
                not self.session.has_line()
                and not select.select([self.session.descriptor], [], [], max(0.0, left))[0]
            ):
                raise RuntimeError(f"no answer within {GIVEN_UP:g} s")
            message: dict[str, Any] = json.loads(self.session.next_line())
            if message.get("id") == wanted:
                return message


@dataclass(slots=True)
class Killer:
    """Kills and stops what belongs to an installation, but never a client's own process."""

    khive: Installation
    spared: frozenset[int]
    stops: bool
    done: Counter[str] = field(default_factory=Counter)
    draw: random.Random = field(default_factory=lambda: random.Random(11))
    stopped: dict[int, float] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    #: What was there when a call took long, by its beginning.
    seen: dict[float, list[str]] = field(default_factory=dict)
    #: Moments, and what was done then.
    blows: list[tuple[float, str]] = field(default_factory=list)

    def around(self, began: float, took: float) -> str:
        """What fell shortly before and during a call, in seconds from its beginning."""
        end = began + took
        fell = [(at - began, what) for at, what in self.blows if began - BEFORE <= at <= end]
        return ", ".join(f"{at:+.1f} {what}" for at, what in fell) or "nothing"

    def _note(self, what: str) -> None:
        self.done[what] += 1
        self.blows.append((time.monotonic(), what))

    def run(self, seconds: float) -> None:
        """Do it for so long; then nothing stays stopped that only its user would end."""
        end = time.monotonic() + seconds
        all_at = time.monotonic() + ALL_EVERY
        while (now := time.monotonic()) < end:
            if now >= all_at:
                all_at += ALL_EVERY
                for pid in self._victims():
                    kill(pid)
                self._note("everything")
            else:
                self._one()
            self._be_the_user()
            self._look()
            time.sleep(self.draw.uniform(*BETWEEN))
        self._be_the_user(at_once=True)

    def _look(self) -> None:
        """Note who is there, in which state and with which locks, beside a call that takes long."""
        now = time.monotonic()
        for began in [one.began for one in self.writers]:
            if began and now - began > LONG and began not in self.seen:
                self.seen[began] = [f"{now - began:.1f} s into it", *_locks(), *self._states()]

    def _states(self) -> list[str]:
        table = processes.table()
        pids = processes_of(self.khive.home)
        return [
            f"{one.pid} of {one.parent} {one.state} {command_of(pid)[-70:]}"
            for pid in pids
            if (one := table.get(pid)) and "khive-attach" not in command_of(pid)
        ]

    def _victims(self) -> list[int]:
        return [pid for pid in processes_of(self.khive.home) if pid not in self.spared]

    def _one(self) -> None:
        victims = self._victims()
        if not victims:
            return
        pid = self.draw.choice(victims)
        what = command_of(pid).rpartition("-m ")[2].split(" --")[0] or "a process"
        if self.stops and self.draw.random() < 0.5:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            self.stopped[pid] = time.monotonic()
            self._note(f"stop {what}")
        else:
            kill(pid)
            self._note(f"kill {what}")

    def _be_the_user(self, *, at_once: bool = False) -> None:
        """End supervisors that were stopped, and starts; all else is the supervisor's to notice."""
        for pid, since in list(self.stopped.items()):
            command = command_of(pid)
            if not command or " start" not in command:
                del self.stopped[pid]
            elif at_once or time.monotonic() - since > USER_AFTER:
                kill(pid)
                self._note("the user's kill of a stopped start")
                del self.stopped[pid]


def measure(context: Context) -> list[Row]:
    """The row of kills and stops."""
    return [_measure(context, stops=True)]


def measure_kills(context: Context) -> list[Row]:
    """The row of kills alone."""
    return [_measure(context, stops=False)]


def _measure(context: Context, *, stops: bool) -> Row:
    seconds = QUICK_SECONDS if context.quick else SECONDS
    with installed(context.work) as khive:
        khive.start()
        writers = [_writer(number, khive) for number in range(SESSIONS)]
        for writer in writers:
            writer.session.initialize()
        spared = frozenset(writer.session.process.pid for writer in writers)
        killer = Killer(khive, spared, stops, writers=writers)
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=one.run, args=(until,), daemon=True) for one in writers]
        for thread in threads:
            thread.start()
        killer.run(seconds)
        for thread in threads:
            thread.join(GIVEN_UP + LIMIT)
        for writer in writers:
            try:
                writer.session.end()
            except (OSError, subprocess.TimeoutExpired) as error:
                writer.ended = writer.ended or f"did not end: {error}"
        left = _left(khive)
        return _row(writers, killer, seconds, _stored(khive), left)


def _locks() -> list[str]:
    """Return the write locks of this machine: who has them, and of which file."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return [" ".join(line.split()[1:]) for line in lines if "WRITE" in line]


def _writer(number: int, khive: Installation) -> Writer:
    messages = Messages()
    session = Session(khive.attach(), messages.end)
    os.close(messages.end)
    return Writer(number, session, messages)


def _left(khive: Installation) -> list[str]:
    """Who is still there a while after everything was told to end."""
    with suppress(RuntimeError):
        khive.stop()
    end = time.monotonic() + GONE_WITHIN
    while (found := processes_of(khive.home)) and time.monotonic() < end:
        time.sleep(0.1)
    return [f"{pid} {command_of(pid)}" for pid in found]


def _stored(khive: Installation) -> set[str]:
    connection = apsw.Connection(str(khive.store), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {str(content) for (content,) in connection.execute("SELECT content FROM entries")}
    finally:
        connection.close()


def _row(
    writers: list[Writer], killer: Killer, seconds: float, stored: set[str], left: list[str]
) -> Row:
    acknowledged = [line for writer in writers for line in writer.acknowledged]
    lost = [line for line in acknowledged if line not in stored]
    ended = [f"session {one.number}: {one.ended}" for one in writers if one.ended]
    slowest = max(writers, key=lambda writer: writer.longest)
    longest = slowest.longest
    went_on = len(writers) - len(ended)
    refused = sum((writer.refused for writer in writers), Counter[str]())
    kinds = "kills and stops" if killer.stops else "kills"
    return Row(
        what=f"{kinds} of a random process every {BETWEEN[0]:g} to {BETWEEN[1]:g} s, of all but "
        f"the clients every {ALL_EVERY:g} s; {len(writers)} sessions that write, {seconds:g} s",
        target=f"{len(writers)} go on; 0 acknowledged lost; calls < {LIMIT:g} s; 0 processes left",
        khive=f"{went_on} went on; {len(lost)} of {len(acknowledged)} lost; longest call "
        f"{longest:.1f} s; {len(left)} processes left; {sum(killer.done.values())} blows",
        met=went_on == len(writers) and not lost and longest < LIMIT and not left,
        notes=(
            f"Blows: {dict(killer.done)}.",
            f"Calls answered with an error: {sum(refused.values())}, {len(refused)} kinds.",
            f"Around the longest call: {killer.around(slowest.longest_at, longest)}.",
            f"Said during it: {slowest.messages.during(slowest.longest_at, longest)}.",
            f"Seen during it: {killer.seen.get(slowest.longest_at)}.",
            *ended,
            *left,
        ),
        data={
            "longest": [writer.longest for writer in writers],
            "refused": dict(refused),
            "blows": dict(killer.done),
        },
    )
