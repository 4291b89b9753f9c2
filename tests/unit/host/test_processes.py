"""Whether a process still lives, and what dead workers of an earlier supervisor held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.host import processes
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


@pytest.mark.parametrize(
    ("words", "variable", "own_session", "stop", "found"),
    [
        (["khive_workers.session", "--instead-of", "SOCKET"], "", True, True, True),
        (["khive_workers.zygote"], "SOCKET", True, True, True),
        (["khive_workers.zygote"], "SOCKET", True, False, False),
        (["khive_workers.zygote"], "another", True, True, False),
        (["khive_workers.session", "--instead-of", "another"], "", True, True, False),
        (["another.program", "--instead-of", "SOCKET"], "SOCKET", True, True, False),
        # A client's own process, which its user may stop together with the client.
        (["khive_workers.session", "--instead-of", "SOCKET"], "", False, True, False),
    ],
)
def test_stopped_workers_are_those_of_a_socket_that_lead_a_session(
    words: list[str], variable: str, own_session: bool, stop: bool, found: bool, tmp_path: Path
) -> None:
    socket = str(tmp_path / "supervisor.sock")
    given = [word.replace("SOCKET", socket) for word in words]
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal; print(flush=True); signal.pause()", *given],
        env={"KHIVE_SOCKET": variable.replace("SOCKET", socket)},
        stdout=subprocess.PIPE,
        start_new_session=own_session,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()  # it has become the program
        if stop:
            child.send_signal(signal.SIGSTOP)
            os.waitpid(child.pid, os.WUNTRACED)
        assert processes.stopped_workers(socket) == ([child.pid] if found else [])
    finally:
        child.kill()
        child.communicate()
