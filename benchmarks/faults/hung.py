"""Whether slow processes are left alone, and how soon stopped ones are replaced.

Load: 16 processes that compute, beside sessions that call. Pause: all processes of the installation
are stopped for a minute, the supervisor too, and continued. Then each kind is stopped alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import processes_of, wait_until
from benchmarks.core.report import Row, Sample, say
from benchmarks.core.session import Session

#: Processes that compute, and for how many seconds; in a quick run.
LOAD, SECONDS, QUICK_SECONDS = 16, 600.0, 60.0
#: Seconds for which everything is stopped; in a quick run. And of looking on afterwards.
PAUSE, QUICK_PAUSE, AFTER = 60.0, 20.0, 15.0
#: Seconds within which each call must be answered, whatever is stopped.
LIMIT = 10.0
#: How often each kind is stopped; in a quick run.
TIMES, QUICK_TIMES = 5, 1
#: Seconds between two calls.
PACE = 0.25
CONFIGURATION = """[http]
enabled = true
port = 0
[supervisor]
restart_limit = 100
[[roles]]
role = "waits"
task_types = ["waits"]
workers = 1
handler = { command = ["sleep", "600"] }
[[roles]]
role = "idle"
task_types = ["idle"]
workers = 1
handler = { command = ["cat"] }
"""
CHILDREN = ("zygote", "embedder", "http")


def measure(context: Context) -> list[Row]:
    """The rows of this measurement."""
    with installed(context.work / "hung") as khive:
        khive.write_configuration(CONFIGURATION)
        khive.start()
        khive.run("assign", "--role", "waits", "1")
        with Session(khive.attach()) as client:
            client.initialize()
            _call(client, "before everything")
            return [*_rows(khive, client, quick=context.quick)]


def _rows(khive: Installation, client: Session, *, quick: bool) -> Iterator[Row]:
    """Each row as it is measured: one that cannot be had must not cost those before it."""
    parts: tuple[Callable[[], list[Row]], ...] = (
        lambda: [_under_load(khive, client, QUICK_SECONDS if quick else SECONDS)],
        lambda: [_after_pause(khive, client, QUICK_PAUSE if quick else PAUSE)],
        lambda: _stopped(khive, client, QUICK_TIMES if quick else TIMES),
    )
    for part in parts:
        for row in part():
            say(f"{row.what}: {row.khive}")
            yield row


def _call(client: Session, content: str) -> float:
    """Store something; seconds until the answer, whatever it is."""
    began = time.monotonic()
    client.send("tools/call", {"name": "memory_remember", "arguments": {"content": content}})
    client.line()
    return time.monotonic() - began


# --- slow is not hung ----------------------------------------------------------------------------


@contextmanager
def _load() -> Iterator[None]:
    argv = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(argv) for _ in range(LOAD)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def _everybody(khive: Installation) -> dict[str, int]:
    """The process of each kind that is there all the time."""
    status = khive.status()
    found = {child["name"]: int(child["pid"] or 0) for child in status["children"]}
    for role in status["roles"]:
        for generation in role["generations"]:
            found |= {
                worker["worker"]: int(worker["pid"])
                for worker in generation["workers"]
                if worker["pid"] is not None  # it is being started
            }
    for one in status["sessions"]:
        if one["kind"] == "session":
            found[f"session {one['client_pid']}"] = int(one["pid"])
    return found | {"supervisor": int(status["pid"])}


def _replaced(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [name for name, pid in before.items() if after.get(name) != pid]


def _under_load(khive: Installation, client: Session, seconds: float) -> Row:
    before = _everybody(khive)
    waits = []
    with _load():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            waits.append(_call(client, f"under load {len(waits)}"))
            time.sleep(PACE)
        lost = _replaced(before, _everybody(khive))
    return Row(
        what=f"load {LOAD} for {seconds:g} s",
        target="0 processes replaced",
        khive=f"{len(lost)} of {len(before)}; calls {Sample(tuple(waits)).show('s', 50, 99)}",
        met=not lost,
        notes=tuple(lost),
        data={"replaced": lost, "longest_call": max(waits)},
    )


def _after_pause(khive: Installation, client: Session, seconds: float) -> Row:
    before = _everybody(khive)
    everybody = processes_of(khive.home)
    for pid in everybody:
        _send(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in everybody:
        _send(pid, signal.SIGCONT)
    took = _call(client, "after a pause")
    time.sleep(AFTER)
    lost = _replaced(before, _everybody(khive))
    return Row(
        what=f"all stopped for {seconds:g} s, and continued",
        target="0 processes replaced",
        khive=f"{len(lost)} of {len(before)}; the next call took {took:.2f} s",
        met=not lost,
        notes=tuple(lost),
        data={"replaced": lost},
    )


# --- hung is dead --------------------------------------------------------------------------------


def _stopped(khive: Installation, client: Session, times: int) -> list[Row]:
    kinds = [*CHILDREN, "idle", "waits", "session"]
    return [_stop_kind(khive, client, kind, times) for kind in kinds]


def _named(khive: Installation, kind: str) -> tuple[str, int] | None:
    """A process of a kind that serves."""
    found = [(n, pid) for n, pid in _everybody(khive).items() if n.split("-")[0].split()[0] == kind]
    return found[0] if found and found[0][1] else None


def _stop_kind(khive: Installation, client: Session, kind: str, times: int) -> Row:
    seconds, waits = [], []
    for number in range(times):
        found = wait_until(lambda: _named(khive, kind), f"a {kind} is there")
        assert found is not None
        began = time.monotonic()
        _send(found[1], signal.SIGSTOP)
        waits.append(_call(client, f"{kind} stopped, call {number}"))
        wait_until(lambda pid=found[1]: _other(khive, kind, pid), f"the {kind} is replaced", 60)
        seconds.append(time.monotonic() - began)
    longest = max(waits)
    return Row(
        what=f"{kind} stopped: until another serves",
        target=f"calls answered in {LIMIT:g} s",
        khive=f"{Sample(tuple(seconds)).show('s', 50, 100)}; longest call {longest:.2f} s",
        met=longest <= LIMIT,
        data={"seconds": seconds, "longest_call": longest},
    )


def _other(khive: Installation, kind: str, old: int) -> Any:
    found = _named(khive, kind)
    return found is not None and found[1] != old and khive.status()["state"] == "ready"


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
