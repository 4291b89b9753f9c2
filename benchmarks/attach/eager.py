"""How soon an idle session has what another one has committed, and its client hears of it."""

from __future__ import annotations

import json
import random
import selectors
import threading
import time

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.processes import DEADLINE
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Session, opened

COMMITS = 300
#: Milliseconds: p50 and p99.
P50, P99 = 2.0, 20.0
#: Seconds between two commits, at least and at most.
PAUSES = (0.05, 0.2)
URI = "khive://profiles"


def measure(context: Context) -> list[Row]:
    """The row of eager refreshes."""
    draw, pause = random.Random(4), threading.Event()
    delays, commits = [], []
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        with opened(khive.attach(), 2) as (writer, idle):
            idle.send("resources/subscribe", {"uri": URI})
            idle.answer()
            idle.call("khive_call", verb="brain.resolve", args={})  # it has something to refresh
            for entry in context.prepared.ids[: context.times(COMMITS) + 5]:
                pause.wait(draw.uniform(*PAUSES))
                took, delay = _commit(writer, idle, entry)
                commits.append(took)
                delays.append(delay)
    sample, round_trip = Sample(tuple(delays[5:])), Sample(tuple(commits[5:]))
    return [
        Row(
            what="commit acknowledged in one session to refreshed, and told to its client, in "
            "an idle one",
            target=f"p50 <= {P50:g} ms, p99 <= {P99:g} ms",
            khive=sample.show("ms", 50, 99),
            peers=("cached once: never", "read at every call: its client is not told"),
            met=sample.p50 <= P50 and sample.quantile(0.99) <= P99,
            notes=(
                (
                    "End to end: from the writer's answer on its pipe to the notification "
                    "`resources/updated` on the other one's, which leaves after the refresh; "
                    f"commits {PAUSES[0] * 1000:.0f}-{PAUSES[1] * 1000:.0f} ms apart. The "
                    f"writer's own round trip, not counted: {round_trip.show('ms', 50, 99)}."
                ),
            ),
            data={"delay": sample.as_dict(), "round_trip": round_trip.as_dict()},
        )
    ]


def _commit(writer: Session, idle: Session, entry: int) -> tuple[float, float]:
    """Milliseconds of the writer's round trip, and from its answer to the other's notification."""
    began = time.perf_counter()
    writer.send(
        "tools/call",
        {"name": "brain_feedback", "arguments": {"target": f"k{entry}", "signal": "useful"}},
    )
    times: dict[Session, float] = {}
    with selectors.DefaultSelector() as selector:
        for session in (writer, idle):
            selector.register(session.descriptor, selectors.EVENT_READ, session)
        while len(times) < 2:
            ready = selector.select(DEADLINE)
            now = time.perf_counter()
            if not ready:
                raise RuntimeError(f"Nobody was told of a commit within {DEADLINE:g} s.")
            for key, _ in ready:
                session: Session = key.data
                line = session.line() if session is writer else session.next_line()
                if session is writer or _is_news(line):
                    times[session] = now
                    selector.unregister(session.descriptor)
    return (times[writer] - began) * 1000, (times[idle] - times[writer]) * 1000


def _is_news(line: bytes) -> bool:
    return bool(json.loads(line).get("method") == "notifications/resources/updated")
