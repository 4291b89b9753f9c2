"""The audit chain while several processes write, and while they are killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from khive_supervisor.audit.verify import verify
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.audit import AuditFilter

ROOT = Path(__file__).parents[2]
CHILD = str(Path(__file__).with_name("audit_child.py"))
Process = subprocess.Popen[bytes]


def start(path: str, name: str) -> Process:
    return subprocess.Popen(
        [sys.executable, CHILD, path, name],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def said(process: Process, count: int) -> list[bytes]:
    """The next lines; a process that ends has said less."""
    assert process.stdout is not None
    return [line for _ in range(count) if (line := process.stdout.readline()).endswith(b"\n")]


def check(path: str, acknowledged: Counter[str]) -> None:
    """The chain is whole, and says what the tasks' events do; nothing acknowledged is lost."""
    with SqliteStore(path) as store:
        report = verify(store.audit.entries())
        assert report.problem is None
        entries = list(store.audit.entries())
        events = store.tasks.events(0, 10**6)
        assert [(e.kind, e.subject) for e in entries] == [
            (f"task.{event.what}", f"task/t{event.task_id}") for event in events
        ]
        for name, count in acknowledged.items():
            done = store.audit.page(AuditFilter(kind="task.cancelled", actor=name), 10**6)
            assert len(done) >= count


def test_two_processes_at_once_never_fork_the_chain(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    SqliteStore(path).close()
    processes = {name: start(path, name) for name in ("ada", "eve")}
    acknowledged = Counter[str]()
    try:
        for process in processes.values():
            assert said(process, 1) == [b"ready\n"]
        for name, process in processes.items():
            acknowledged[name] = len(said(process, 150))
    finally:
        for process in processes.values():
            process.communicate()
    assert acknowledged == {"ada": 150, "eve": 150}
    check(path, acknowledged)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_writers_that_are_killed_leave_a_chain_that_can_be_checked(
    tmp_path: Path, seed: int
) -> None:
    path = str(tmp_path / "khive.db")
    SqliteStore(path).close()
    acknowledged = Counter[str]()
    chance = random.Random(seed)
    for round_number in range(6):
        names = [f"{round_number}-{number}." for number in range(2)]
        processes = {name: start(path, name) for name in names}
        try:
            for process in processes.values():
                assert said(process, 1) == [b"ready\n"]
            acknowledged[names[0]] = len(said(processes[names[0]], chance.randint(1, 20)))
        finally:
            for process in processes.values():
                process.kill()
            for name, process in processes.items():
                rest, _ = process.communicate()
                acknowledged[name] += rest.count(b"\n")
    check(path, acknowledged)
