"""Who waits for the write lock is told when it is free, and needs not be."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support import DEADLINE, kill, wait_until

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.host import file_locks, processes
from khive_supervisor.sqlite.engine import connection
from khive_supervisor.sqlite.engine.write_queue import WriteQueue
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

#: Seconds after which nobody would wait any more: what goes on before was told.
NEVER = 10 * DEADLINE


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A store that is there."""
    path = str(tmp_path / "khive.db")
    with SqliteStore(path) as store, store.transaction():
        pass
    return path


def add(path: str, text: str) -> None:
    """Write through a connection of one's own."""
    with SqliteStore(path, busy_timeout=NEVER) as store:
        store.entries.add([NewEntry("memory", "n", "k", "t", text)])


@contextmanager
def forked(work: Callable[[], None]) -> Iterator[int]:
    """A child that does something and exits with 0; killed and reaped at the end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        yield child
    finally:
        kill(child)
        os.waitpid(child, 0)


def ended(pid: int) -> bool:
    """Whether a child is done; it is left for `forked` to reap, and must have succeeded."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    assert found is None or found.si_status == 0
    return found is not None


def listens(pid: int) -> bool:
    """Whether a process has put itself in line: its epoll has a target."""
    with suppress(FileNotFoundError):  # closed meanwhile
        return any("tfd" in one.read_text() for one in Path(f"/proc/{pid}/fdinfo").iterdir())
    return False


def locked(path: str) -> bool:
    """Whether somebody has the write lock."""
    try:
        with SqliteStore(path, busy_timeout=0) as store, store.transaction():
            return False
    except StoreUnavailable:
        return True


@contextmanager
def holder(path: str) -> Iterator[tuple[int, Callable[[], object]]]:
    """A child that holds the write lock, and what makes it commit."""
    reading, writing = os.pipe()

    def hold() -> None:
        with SqliteStore(path) as store, store.transaction():
            os.read(reading, 1)

    with forked(hold) as child:
        wait_until(lambda: locked(path), "the child holds the lock")
        yield child, lambda: os.write(writing, b"x")
    os.close(reading)
    os.close(writing)


def test_a_writer_that_was_stopped_is_named_with_what_to_do(path: str) -> None:
    with holder(path) as (child, _):
        assert file_locks.writer_of(path) == child
        with SqliteStore(path, busy_timeout=0) as store:
            with (
                pytest.raises(StoreUnavailable, match="did not finish in time"),
                store.transaction(),
            ):
                pass
            os.kill(child, signal.SIGSTOP)
            wait_until(lambda: processes.stopped(child), "it is stopped")
            with (
                pytest.raises(StoreUnavailable, match="was stopped in") as caught,
                store.transaction(),
            ):
                pass
        assert f"kill -9 {child}" in caught.value.hint
    assert file_locks.writer_of(path) is None


def test_nobody_writes_to_what_is_not_there(tmp_path: Path) -> None:
    assert file_locks.writer_of(str(tmp_path / "none.db")) is None


def test_who_waits_is_told_one_after_the_other(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LISTEN", NEVER)
    with (
        holder(path) as (_, commit),
        forked(lambda: add(path, "a")) as first,
        forked(lambda: add(path, "b")) as second,
    ):
        wait_until(lambda: listens(first) and listens(second), "both are in line")
        commit()
        wait_until(lambda: ended(first) and ended(second), "both have written")


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_one_that_cannot_take_its_turn_keeps_nobody_waiting(
    path: str, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(connection, "LISTEN", NEVER)
    with (
        holder(path) as (_, commit),
        forked(lambda: add(path, "a")) as first,
    ):
        wait_until(lambda: listens(first), "the first is in line")
        with forked(lambda: add(path, "b")) as second:
            wait_until(lambda: listens(second), "the second is in line")
            os.kill(first, number)
            os.waitid(os.P_PID, first, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            commit()
            wait_until(lambda: ended(second), "the second has written")
        if number == signal.SIGSTOP:
            os.kill(first, signal.SIGCONT)
            wait_until(lambda: ended(first), "the first has written, too")


def test_a_killed_holder_tells_nobody_and_the_lock_is_found_free(path: str) -> None:
    with holder(path) as (child, _), forked(lambda: add(path, "a")) as waiting:
        wait_until(lambda: listens(waiting), "it is in line")
        kill(child)
        wait_until(lambda: ended(waiting), "it has written")


def test_a_stopped_holder_delays_and_then_the_store_is_busy(path: str) -> None:
    with holder(path) as (child, commit):
        os.kill(child, signal.SIGSTOP)
        with SqliteStore(path, busy_timeout=0.1) as store, pytest.raises(StoreUnavailable):
            store.entries.forget([1])
        os.kill(child, signal.SIGCONT)
        commit()
        add(path, "a")


@pytest.mark.parametrize("content", ["file", "link", "nothing can be made"])
def test_without_a_pipe_who_waits_looks_again(
    path: str, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    shutil.rmtree(path + "-turn")
    if content == "file":
        Path(path + "-turn").write_text("mine", encoding="utf-8")
    elif content == "link":
        os.symlink(path, path + "-turn")
    else:
        monkeypatch.setattr(os, "mkfifo", _refuse)
    with holder(path) as (_, commit), forked(lambda: add(path, "a")) as waiting:
        commit()
        wait_until(lambda: ended(waiting), "it has written")
        assert not listens(waiting)
    if content == "file":
        assert Path(path + "-turn").read_text(encoding="utf-8") == "mine"


def _refuse(_path: str, _mode: int) -> None:
    raise OSError(1, "Operation not permitted")


def test_nobody_has_to_listen(tmp_path: Path) -> None:
    speaker, listener = (WriteQueue(str(tmp_path / "khive.db")) for _ in range(2))
    for _ in range(1 << 17):  # more than the pipe holds
        speaker.pass_on()
    assert listener.wait(NEVER), "what was said before is heard once"
    assert listener.wait(0.0)
    assert os.listdir(tmp_path) == ["khive.db-turn"]
    for queue in (speaker, listener, speaker):
        queue.close()
    speaker.pass_on()
    assert not listener.wait(NEVER), "a closed one is deaf"


def test_a_rollback_passes_on_and_a_part_does_not(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[bool]()
    with SqliteStore(path) as store:
        monkeypatch.setattr(WriteQueue, "pass_on", lambda _self: told.append(True))
        with pytest.raises(ZeroDivisionError), store.transaction(), store.transaction():
            raise ZeroDivisionError
        assert told == [True]
        with store.database.write_small():
            assert told == [True]
        assert told == [True, True]
