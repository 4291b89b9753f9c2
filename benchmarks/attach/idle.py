"""What many idle sessions cost while somebody else writes."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import processes_of, processor_seconds
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Session, opened

SESSIONS = 100
#: The share of one core that ten sessions, and their share of the supervisor, may use.
LIMIT_OF_TEN = 0.01
#: Commits a second, and seconds that are measured.
COMMITS, MEASURED = 50, 60.0
#: Bytes that the write-ahead log may grow to: SQLite's checkpoint at 4000 pages, with some room.
LOG_LIMIT = 32 * 1024 * 1024

_MB = 1024 * 1024


def measure(context: Context) -> list[Row]:
    """The row of idle sessions beside a writer."""
    seconds = 10.0 if context.quick else MEASURED
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        with opened(khive.attach(), SESSIONS) as sessions:
            for session in sessions:
                session.call("khive_call", verb="brain.resolve", args={})
            with opened(khive.attach(), 1) as (writer,):
                clients = {s.process.pid for s in sessions}
                names = _names(khive, clients, writer.process.pid)
                before = {pid: processor_seconds([pid]) for pid in names}
                commits, log = _write(khive, writer, context.prepared.ids, seconds)
                used: dict[str, float] = {}
                for pid, name in names.items():
                    used[name] = used.get(name, 0.0) + processor_seconds([pid]) - before[pid]
                instances = sum(map(_inotify, processes_of(khive.home)))
    share = sum(used.values()) / seconds
    of_ten = share / SESSIONS * 10
    return [
        Row(
            what=f"{SESSIONS} idle sessions, beside {commits.n / seconds:.0f} commits a second of "
            f"feedback for {seconds:.0f} s",
            target=f"< {LIMIT_OF_TEN:.0%} of a core for ten sessions; log bounded; 1 inotify",
            khive=f"{of_ten:.2%} of a core for ten sessions ({share:.1%} in all); log at most "
            f"{log / _MB:.1f} MB; inotify instances: {instances}",
            met=of_ten < LIMIT_OF_TEN and log <= LOG_LIMIT and instances == 1,
            notes=(
                (
                    "All sessions with their attach, the supervisor, the zygote and the embedder, "
                    "not the writer's session; each has asked once which profile serves it. "
                    "Processor time in milliseconds a second: "
                    + ", ".join(f"{name} {cpu / seconds * 1000:.1f}" for name, cpu in used.items())
                    + f". The writer's round trip: {commits.show('ms', 50, 99)}."
                ),
            ),
            data={
                "share": share,
                "seconds": seconds,
                "commits": commits.as_dict(),
                "wal_bytes": log,
                "inotify": instances,
                "used": used,
            },
        )
    ]


def _write(
    khive: Installation, writer: Session, entries: list[int], seconds: float
) -> tuple[Sample, int]:
    """Feedback at an even pace; round trips, and the largest size of the log."""
    pause, log, times = threading.Event(), 0, []
    began = time.monotonic()
    for number, entry in enumerate(entries):
        due = began + number / COMMITS
        if due >= began + seconds:
            break
        pause.wait(max(0.0, due - time.monotonic()))
        start = time.perf_counter()
        writer.call("brain_feedback", target=f"k{entry}", signal="useful")
        times.append((time.perf_counter() - start) * 1000)
        log = max(log, os.path.getsize(f"{khive.store}-wal"))
    return Sample(tuple(times)), log


def _names(khive: Installation, clients: set[int], writer: int) -> dict[int, str]:
    """What is measured, by pid."""
    status, workers = khive.status(), khive.workers(len(clients) + 1)
    return {
        status["pid"]: "supervisor",
        **{child["pid"]: child["name"] for child in status["children"] if child["pid"]},
        **dict.fromkeys(clients, "attach"),
        **{pid: "session workers" for client, pid in workers.items() if client != writer},
    }


def _inotify(pid: int) -> int:
    """How many inotify instances a process has."""
    try:
        links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return 0
    return sum("inotify" in link for link in links)
