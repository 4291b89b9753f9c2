"""Whether a process still lives, and what dead workers of an earlier supervisor held."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.host.processes import alive
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.supervision.roles.persistence import release_dead
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import Claimant, NewTask


@pytest.fixture
def zombie() -> Iterator[int]:
    """A process that has ended and that nobody has reaped."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def test_who_has_ended_does_not_live(zombie: int) -> None:
    assert alive(os.getpid())
    assert not alive(zombie)
    done = subprocess.Popen(["true"])
    done.wait()
    assert not alive(done.pid)


def test_what_a_dead_worker_held_is_queued_though_nobody_reaped_it(
    tmp_path: Path, zombie: int
) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        held = {pid: store.tasks.assign(NewTask("r"))[0].id for pid in (zombie, os.getpid())}
        for pid in held:
            assert store.tasks.claim(Claimant("r", f"w:{pid}", 1, "d"), lease.now())
        release_dead(store)
        states = {task.id: task.state for task in store.tasks.page()}
        assert states == {held[zombie]: "queued", held[os.getpid()]: "leased"}
