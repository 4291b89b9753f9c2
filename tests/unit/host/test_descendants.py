"""Who started whom: tables, descendants, and the end of all that somebody left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.host import processes
from khive_supervisor.host.processes import MARK, ProcessEntry, descendants, end_all, process


def entry(pid: int, parent: int, state: str = "S", session: int = 0) -> ProcessEntry:
    return ProcessEntry(pid, pid * 10, state, parent, session, "x", 0.0)


def tree(*pairs: tuple[int, int]) -> dict[int, ProcessEntry]:
    return {pid: entry(pid, parent) for pid, parent in pairs}


FAMILY = tree((1, 0), (2, 1), (3, 1), (4, 2), (5, 4), (6, 3), (7, 99))


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "spared", "found"),
    [
        (1, (), {2, 3, 4, 5, 6}),
        (2, (), {4, 5}),
        (5, (), set()),
        (8, (), set()),
        (1, (2,), {3, 6}),
        (1, (4,), {2, 3, 6}),
        (1, (2, 3), set()),
        (99, (), {7}),
    ],
)
def test_descendants_are_found_without_those_spared(
    root: int, spared: tuple[int, ...], found: set[int]
) -> None:
    assert {one.pid for one in descendants(FAMILY, root, spared)} == found


@given(st.dictionaries(st.integers(2, 30), st.integers(1, 30), max_size=25))
def test_each_descendant_is_found_once_and_leads_back(parents: dict[int, int]) -> None:
    # A parent has a smaller number, as in a table without numbers that were used again.
    rows = {pid: entry(pid, min(parent, pid - 1)) for pid, parent in parents.items()}
    found = [one.pid for one in descendants(rows, 1)]
    assert len(found) == len(set(found))
    for pid in found:
        at = pid
        while at != 1:
            at = rows[at].parent
            assert at == 1 or at in found


def test_this_process_is_in_the_table() -> None:
    own = process(os.getpid())
    assert own is not None
    assert (own.pid, own.parent, own.session) == (os.getpid(), os.getppid(), os.getsid(0))
    assert own.state in "RSD"
    assert processes.table()[os.getpid()].started == own.started


def test_a_number_that_nobody_has_is_no_process() -> None:
    assert process(2**22 + 1) is None


def test_without_a_table_there_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_path: str) -> list[str]:
        raise FileNotFoundError

    monkeypatch.setattr(os, "listdir", missing)
    assert processes.table() == {}
    assert list(processes.marked(["w"])) == []
    assert list(processes.of_session(1, "KHIVE_X")) == []


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A marked process in a session of its own, which waits until it is ended."""
    child = subprocess.Popen(
        ["sh", "-c", "echo; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, MARK: "w-test-7"}, start_new_session=True,
    )  # fmt: skip
    # Popen returns while the kernel still sets up what is executed: its environment is empty then.
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def test_what_is_marked_is_found_by_its_mark(sleeper: subprocess.Popen[bytes]) -> None:
    assert sleeper.pid in {one.pid for one in processes.marked(["other", "w-test-7"])}
    assert sleeper.pid not in {one.pid for one in processes.marked(["w-test"])}
    assert sleeper.pid not in {one.pid for one in processes.marked([])}


def test_a_session_whose_leader_lives_is_nobodys_rest(sleeper: subprocess.Popen[bytes]) -> None:
    assert list(processes.of_session(sleeper.pid, MARK)) == []


def test_what_is_left_of_a_session_is_found_by_a_variable() -> None:
    read, write = os.pipe()
    leader = subprocess.Popen(
        ["sh", "-c", "exec 3<&0; cat <&3 & echo $!"], stdin=read, stdout=subprocess.PIPE,
        env={**os.environ, "KHIVE_X": "1"}, start_new_session=True,
    )  # fmt: skip
    os.close(read)
    assert leader.stdout is not None
    left = int(leader.stdout.readline())
    leader.wait()
    try:
        assert {one.pid for one in processes.of_session(leader.pid, "KHIVE_X")} == {left}
        assert list(processes.of_session(leader.pid, "KHIVE_Y")) == []
    finally:
        os.kill(left, signal.SIGKILL)
        os.close(write)
        leader.stdout.close()


def test_all_that_is_found_is_ended_stopped_or_not(sleeper: subprocess.Popen[bytes]) -> None:
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert end_all(lambda: processes.marked(["w-test-7"])) == 1
    assert sleeper.wait() == -signal.SIGKILL


def test_nothing_to_end_is_no_work() -> None:
    assert end_all(list) == 0


def test_what_cannot_be_ended_is_given_up_after_a_while() -> None:
    now = iter(range(10))
    # A number that is another process's by now is not killed.
    other = ProcessEntry(os.getpid(), -1, "D", 1, 1, "x", 0.0)
    assert end_all(lambda: [other], patience=3.0, clock=lambda: float(next(now))) == 1


def test_zombies_are_ended_already() -> None:
    assert end_all(lambda: [entry(5, 1, "Z")]) == 0
