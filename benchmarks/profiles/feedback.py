"""Whether feedback is ever lost or counted twice, while the processes that take it are killed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.core.context import Context
from benchmarks.core.drive import Job, drive, said
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import kill
from benchmarks.core.report import Row
from benchmarks.core.session import Session, opened
from khive_supervisor.profiles.replay import PAGE, verify
from khive_supervisor.sqlite.store import SqliteStore

SESSIONS, EVENTS = 16, 20_000
#: Seconds between two kills.
KILL_EVERY = 0.4
PROFILE, RUN = "balanced-recall-v1", "bench"


@dataclass(slots=True)
class Ledger:
    """Each event is about an entry of its own; what the sessions said of them."""

    acknowledged: set[int] = field(default_factory=set)
    #: Not acknowledged, and not sent again.
    unknown: set[int] = field(default_factory=set)
    repeated: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    at_work: int = 0


def measure(context: Context) -> list[Row]:
    """The row of feedback under kills."""
    entries = context.prepared.ids[: context.times(EVENTS)]
    ledger, killed = Ledger(), Counter[str]()
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        with opened(khive.attach(), SESSIONS + 1) as (killer, *sessions):
            workers = [s.process.pid for s in sessions]
            jobs: list[tuple[Session, Job]] = [
                (session, _give(ledger, entries[at::SESSIONS]))
                for at, session in enumerate(sessions)
            ]
            drive([*jobs, (killer, _kill(khive, workers, ledger, killed))])
        store = SqliteStore(str(khive.store))
        found = _found(store)
        wrong = verify(store.profiles, PROFILE)
        problems = store.quick_check()
        store.close()
    lost = sum(found[entry] == 0 for entry in ledger.acknowledged)
    doubled = sum(times > 1 for times in found.values())
    more = sum(found[entry] == 1 for entry in ledger.unknown)
    return [
        Row(
            what=f"feedback from {SESSIONS} sessions, {len(entries)} events, while their workers "
            "are killed",
            target="0 lost, 0 doubled; replay equal, quick_check ok",
            khive=f"{lost} lost, {doubled} doubled of {len(ledger.acknowledged)} acknowledged; "
            f"replay {'differs' if wrong else 'equal to the last bit'}; quick_check "
            f"{'; '.join(problems) or 'ok'}",
            met=not (lost or doubled or wrong or problems),
            notes=(
                (
                    f"{killed['workers']} workers killed with SIGKILL. Half of the events name a "
                    f"run and a serve and are sent again after an error ({ledger.repeated} "
                    f"were); the others are not: {len(ledger.unknown)} of them are not "
                    f"acknowledged, of which {more} are there. Every event is about an entry of "
                    "its own."
                ),
            ),
            data={
                "acknowledged": len(ledger.acknowledged),
                "lost": lost,
                "doubled": doubled,
                "unacknowledged": len(ledger.unknown),
                "unacknowledged_present": more,
                "kills": killed["workers"],
                "errors": dict(ledger.errors),
            },
        )
    ]


def _give(ledger: Ledger, entries: Sequence[int]) -> Job:
    ledger.at_work += 1
    for entry in entries:
        named = {"scorer_run": RUN, "serve": str(entry)} if entry % 2 else {}
        arguments = {"target": f"k{entry}", "signal": "useful", "profile": PROFILE, **named}
        while True:
            message: Mapping[str, object] = yield "brain_feedback", arguments
            if said(dict(message)) is not None:
                ledger.acknowledged.add(entry)
                break
            ledger.errors[_why(message)] += 1
            if not named:
                ledger.unknown.add(entry)
                break
            ledger.repeated += 1
    ledger.at_work -= 1


def _why(message: Mapping[str, object]) -> str:
    return str(message.get("error") or message.get("result"))[:200]


def _kill(khive: Installation, clients: Sequence[int], ledger: Ledger, killed: Counter[str]) -> Job:
    """Kill one worker after another, by the pid that the supervisor's status says."""
    draw = random.Random(3)
    while ledger.at_work:
        yield KILL_EVERY
        workers = [
            s["pid"]
            for s in khive.status()["sessions"]
            if s["kind"] == "session" and s["client_pid"] in clients
        ]
        if workers and ledger.at_work:
            kill(draw.choice(workers))
            killed["workers"] += 1


def _found(store: SqliteStore) -> Counter[int]:
    """How many events there are of each entry."""
    found: Counter[int] = Counter()
    seq = 0
    while events := store.profiles.events(PROFILE, seq, PAGE):
        found.update(event.entry_id for event in events if event.entry_id is not None)
        seq = events[-1].seq
    return found
