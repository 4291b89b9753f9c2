"""What recording costs: the same writes with and without the audit chain, one after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from khive_supervisor.profiles.model import FEEDBACK, NewEvent
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, Claimant, NewTask, Outcome

#: Writes of each kind, with and without the chain.
FEEDBACK_WRITES, TASKS = 4_000, 1_500
#: How much slower a write may become, and the share of it that its entries may be.
SLOWER, SHARE = 1.10, 0.10
ENTRIES = 500
PROFILE = "balanced-recall-v1"


@dataclass(slots=True)
class Times:
    """Milliseconds of the same writes: without the chain, with it, and of its part in them.

    The part is measured in a store of its own, since looking at a clock takes its time, too.
    """

    off: list[float] = field(default_factory=list)
    on: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)
    entries: list[float] = field(default_factory=list)

    @property
    def slower(self) -> float:
        """Medians compared: a disk that stalls once is no cost of the chain."""
        return Sample(tuple(self.on)).p50 / Sample(tuple(self.off)).p50

    @property
    def share(self) -> float:
        """Of the time of the writes that are recorded."""
        return Sample(tuple(self.entries)).p50 / Sample(tuple(self.watched)).p50


@dataclass(slots=True)
class Side:
    """A store, and how much of the last write its entries took."""

    store: SqliteStore
    entries: float = 0.0

    def time_entries(self) -> None:
        """Measure what `append` takes from now on."""
        append = self.store.audit.append

        def timed(*args: object, **options: object) -> None:
            began = time.perf_counter()
            append(*args, **options)  # type: ignore[arg-type]  # passed on as it came
            self.entries += time.perf_counter() - began

        self.store.audit.append = timed  # type: ignore[assignment, method-assign]  # timed


Write = Callable[[SqliteStore, int], None]


def measure(context: Context) -> list[Row]:
    """The rows of the chain's cost."""
    with ExitStack() as stack:
        sides = [_side(stack, context.work, name) for name in ("off", "on", "watched")]
        sides[2].time_entries()
        feedback = _compare(sides, _feedback, context.times(FEEDBACK_WRITES))
        tasks = _compare(sides, _task, context.times(TASKS))
    return [
        _row("feedback acknowledged", feedback, 1),
        _row("a task assigned, claimed and finished", tasks, 3),
    ]


def _side(stack: ExitStack, work: Path, name: str) -> Side:
    path = work / "audit-cost" / f"{name}-{time.monotonic_ns()}" / "khive.db"
    store = stack.enter_context(SqliteStore(str(path), audited=name != "off"))
    store.entries.add([NewEntry("memory", "n", "fact", "", f"entry {at}") for at in range(ENTRIES)])
    return Side(store)


def _compare(sides: list[Side], write: Write, count: int) -> Times:
    """Each write on all sides before the next, in a drawn order: the disk is the same for all."""
    times = Times()
    draw = random.Random(7)
    for number in range(count):
        for side in draw.sample(sides, len(sides)):
            side.entries = 0.0
            began = time.perf_counter()
            write(side.store, number)
            taken = (time.perf_counter() - began) * 1000
            (times.off, times.on, times.watched)[sides.index(side)].append(taken)
            if side.entries:
                times.entries.append(side.entries * 1000)
    return times


def _feedback(store: SqliteStore, number: int) -> None:
    target = number % ENTRIES + 1
    event = NewEvent(PROFILE, FEEDBACK, "useful", target, "ada", "n", session=f"s{number}")
    store.feedback.record(event)


def _task(store: SqliteStore, number: int) -> None:
    task, _ = store.tasks.assign(NewTask("r", payload={"number": number}))
    now = lease.now()
    claim = store.tasks.claim(Claimant("r", "r-1:1"), now)
    assert claim is not None
    assert claim.id == task.id
    store.tasks.finish(task.id, claim.token, Outcome(DONE, result=number), now)


def _row(what: str, times: Times, entries: int) -> Row:
    on, off, part = (Sample(tuple(values)) for values in (times.on, times.off, times.entries))
    count = "its entry" if entries == 1 else f"its {entries} entries"
    return Row(
        what=f"{what}, with the audit chain",
        target=f"at most {SLOWER - 1:.0%} slower than without; {count} under {SHARE:.0%} of it",
        khive=f"{on.show('ms', 50, 99)}: {times.slower - 1:+.1%}; {count}: "
        f"{part.p50 * 1000:.0f} us = {times.share:.1%}",
        peers=(f"audit.enabled = false: {off.show('ms', 50, 99)}",),
        met=times.slower <= SLOWER and times.share < SHARE,
        notes=(
            (
                "Durable writes of one process, each made with and without the chain before the "
                "next, in an order that is drawn; medians are compared. What an entry takes is "
                "measured inside the transaction that it is part of, in a third store."
            ),
        ),
        data={"on": on.as_dict(), "off": off.as_dict(), "entries": part.as_dict()},
    )
