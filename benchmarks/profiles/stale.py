"""Whether anybody ever reads what is no longer true, while others write."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.drive import Job, call, drive, said
from benchmarks.core.installation import Installation, clean_environment, installed
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Server, Session, opened
from benchmarks.profiles.profile_reader import KINDS

READERS, READS = 16, 200_000
#: Reads of each process that looks profiles up in a way of its own.
OTHERS = 20_000
#: Values until a writer's begin again: far more than can be written during one read.
CYCLE = 150
#: Seconds between a writer's commits, at least and at most.
PAUSES = (0.002, 0.02)

TAUGHT, BOUND = "taught", "bound"


@dataclass(slots=True)
class Written:
    """How far one writer is: versions that were sent, and those that were acknowledged."""

    sent: int = 0
    acknowledged: int = 0


@dataclass(slots=True)
class Read:
    """What one kind of reader has seen."""

    count: int = 0
    stale: int = 0
    #: Reads during which nothing was written: they can have one answer alone.
    still: int = 0
    microseconds: list[float] = field(default_factory=list)


class Trial:
    """Two writers, and what readers may see of them."""

    def __init__(self) -> None:
        self.written = {TAUGHT: Written(), BOUND: Written()}
        self.reading = 0

    def reader(self, seen: Read, reads: int, seed: int) -> Job:
        """Ask in turn for what the two writers change."""
        self.reading += 1
        for turn in range(seed, seed + reads):
            actor = (TAUGHT, BOUND)[turn % 2]
            written = self.written[actor]
            first = written.acknowledged
            answer = said((yield call("brain.resolve", actor=actor)))
            if answer is None:
                raise RuntimeError(f"A read failed: {actor}.")
            allowed = range(first, written.sent + 1)
            seen.count += 1
            seen.still += len(allowed) == 1
            seen.stale += not any(_shown(actor, at) == _value(actor, answer) for at in allowed)
            if "microseconds" in answer:
                seen.microseconds.append(answer["microseconds"])
        self.reading -= 1

    def writer(self, actor: str, change: Callable[[int], Any], seed: int) -> Job:
        """Commit one version after the other, for as long as somebody reads."""
        draw, written = random.Random(seed), self.written[actor]
        for version in count(1):
            written.sent = version
            if said((yield change(version))) is None:
                raise RuntimeError(f"A write failed: {actor}.")
            written.acknowledged = version
            if not self.reading:
                return
            yield draw.uniform(*PAUSES)


def _shown(actor: str, version: int) -> float:
    """What a version looks like to a reader: the posterior's mean, or the priority."""
    place = version % CYCLE
    return place if actor == BOUND else round((2 + place) / (10 + place), 4)


def _value(actor: str, answer: Mapping[str, Any]) -> float:
    binding = answer.get("binding") or {}
    return float(binding["priority"] if actor == BOUND else answer["weights"]["salience"])


def teach(ids: list[int]) -> Callable[[int], Any]:
    """A posterior that moves with each event, and begins again with a reset."""

    def change(version: int) -> Any:
        place = version % CYCLE
        if place == 0:
            return call("brain.reset", name=TAUGHT)
        return call("brain.feedback", target=f"k{ids[place]}", signal="useful", profile=TAUGHT)

    return change


def bind(version: int) -> Any:
    """A binding that is replaced."""
    return call("brain.bind", name=BOUND, actor=BOUND, priority=version % CYCLE)


def measure(context: Context) -> list[Row]:
    """The row of stale reads."""
    trial, sessions = Trial(), Read()
    others = {kind: Read() for kind in KINDS}
    with installed(context.work, context.prepared) as khive, ExitStack() as stack:
        khive.start()
        khive.settle()
        writers = stack.enter_context(opened(khive.attach(), 2))
        for name in (TAUGHT, BOUND):
            writers[0].call("khive_call", verb="brain.create_profile", args={"name": name})
            args = {"name": name, "actor": name, "priority": 0}
            writers[0].call("khive_call", verb="brain.bind", args=args)
        readers = stack.enter_context(opened(khive.attach(), READERS))
        each = context.times(READS) // READERS
        jobs = [(s, trial.reader(sessions, each, at)) for at, s in enumerate(readers)]
        for kind in KINDS:
            process = stack.enter_context(Session(_process(kind, khive)))
            jobs.append((process, trial.reader(others[kind], context.times(OTHERS), 0)))
        ids = context.prepared.ids
        jobs.append((writers[0], trial.writer(TAUGHT, teach(ids), 1)))
        jobs.append((writers[1], trial.writer(BOUND, bind, 2)))
        drive(jobs)
    commits = sum(w.acknowledged for w in trial.written.values())
    ours, once, every = (others[kind] for kind in KINDS)
    return [
        Row(
            what=f"stale reads: {READERS} sessions, 2 writers, {commits} commits",
            target="0",
            khive=f"{sessions.stale} of {sessions.count} through sessions, {ours.stale} of "
            f"{ours.count} in a process of its own; the look-up {_cost(ours)}",
            peers=(
                f"cached once: {once.stale} of {once.count}; {_cost(once)}",
                f"read at every call: {every.stale} of {every.count}; {_cost(every)}",
            ),
            met=sessions.stale + ours.stale == 0 and sessions.count >= context.times(READS),
            notes=(
                (
                    "Attached sessions, MCP on their pipes. One thread speaks to all of them, so "
                    "one clock orders them: a read must show a version that had been acknowledged "
                    "before it was asked for, or a later one that had been sent when its answer "
                    "came. Versions are a posterior's mean (feedback, reset) and a binding's "
                    f"priority; they repeat after {CYCLE}, so a few stale reads look right. During "
                    f"{sessions.still} of the sessions' reads nothing was written at all. The "
                    "other readers are processes that look up at the same store, in the same run."
                ),
            ),
            data={
                "commits": commits,
                "sessions": {"reads": sessions.count, "stale": sessions.stale},
                **{
                    kind: {
                        "reads": read.count,
                        "stale": read.stale,
                        "microseconds": Sample(tuple(read.microseconds)).as_dict(),
                    }
                    for kind, read in others.items()
                },
            },
        )
    ]


def _process(kind: str, khive: Installation) -> Server:
    script = Path(__file__).with_name("profile_reader.py")
    return Server(
        name=kind,
        command=(sys.executable, "-P", str(script), kind, str(khive.store)),
        environment=clean_environment(khive.home),
        directory=khive.home,
        search_tool="",
        search_arguments={},
    )


def _cost(read: Read) -> str:
    return Sample(tuple(read.microseconds)).show("µs", 50, 99)
