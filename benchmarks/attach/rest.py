"""What it costs when nobody asks for anything."""

from __future__ import annotations

import os
import threading

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import processes_of, processor_seconds
from benchmarks.core.report import Row
from benchmarks.core.session import opened

#: The share of one core that everything together may use.
LIMIT = 0.002
SESSIONS = 20
#: Seconds of rest that are measured, and before them, after the last search.
MEASURED, SETTLING = 60.0, 12.0


def measure(context: Context) -> list[Row]:
    """The row of rest."""
    seconds = 15.0 if context.quick else MEASURED
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        with opened(khive.attach(), SESSIONS) as sessions:
            for session in sessions:
                for query in context.queries(2):
                    session.search(query)
            sessions[0].call("memory_remember", content="The log must be empty after this.")
            _pass(SETTLING)
            pids = processes_of(khive.home)
            names = _names(khive, [session.process.pid for session in sessions])
            before = {pid: processor_seconds([pid]) for pid in pids}
            _pass(seconds)
            used = {pid: processor_seconds([pid]) - before[pid] for pid in pids}
            log = os.path.getsize(f"{khive.store}-wal")
    share = sum(used.values()) / seconds
    by_name: dict[str, float] = {}
    for pid, cpu in used.items():
        name = names.get(pid, "others")
        by_name[name] = by_name.get(name, 0.0) + cpu
    most = sorted(by_name.items(), key=lambda item: -item[1])
    return [
        Row(
            what=f"at rest: supervisor, zygote, embedder and {SESSIONS} sessions for "
            f"{seconds:.0f} s",
            target=f"< {LIMIT:.1%} of a core in all; the write-ahead log is empty",
            khive=f"{share:.3%} of a core ({len(pids)} processes); log {log} bytes",
            met=share < LIMIT and log == 0,
            notes=(
                f"After {SETTLING:.0f} s of rest; processor time in milliseconds: "
                + ", ".join(f"{name} {cpu * 1000:.1f}" for name, cpu in most)
                + ".",
            ),
            data={"share": share, "seconds": seconds, "wal_bytes": log, "used": by_name},
        )
    ]


def _pass(seconds: float) -> None:
    """Let time pass: that is what is measured."""
    threading.Event().wait(seconds)


def _names(khive: Installation, clients: list[int]) -> dict[int, str]:
    """What each process is."""
    status = khive.status()
    workers = khive.workers(len(clients)).values()
    return {
        status["pid"]: "supervisor",
        **{child["pid"]: child["name"] for child in status["children"]},
        **dict.fromkeys(clients, "attach"),
        **dict.fromkeys(workers, "session workers"),
    }
