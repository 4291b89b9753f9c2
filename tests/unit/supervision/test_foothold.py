"""What a supervisor does about what it stands on: every look, and every failure; and its lock."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import AlreadyRunning
from khive_supervisor.host import holder
from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.lock import StoreLock
from khive_supervisor.supervision.watch.foothold import Foothold


@dataclass
class Ground:
    """What can be taken from under a supervisor, and what is done about it."""

    there: bool = True
    fails: str = ""
    mended: int = 0
    foothold: Foothold = field(init=False)

    def __post_init__(self) -> None:
        self.foothold = Foothold("put it back", lambda: not self.there, self.mend)

    def mend(self) -> None:
        self.mended += 1
        if self.fails:
            raise OSError(self.fails)
        self.there = True


@given(st.lists(st.booleans(), max_size=30))
def test_it_is_mended_at_each_look_that_misses_it_and_at_no_other(gone: list[bool]) -> None:
    ground = Ground()
    for there in (not taken for taken in gone):
        ground.there = there
        ground.foothold.look()
        assert ground.there
    assert ground.mended == sum(gone)


@given(st.lists(st.booleans(), max_size=30))
def test_what_may_come_back_by_itself_is_mended_when_two_looks_have_missed_it(
    there: list[bool],
) -> None:
    ground = Ground(fails="not yet")
    ground.foothold.patience = 2
    for ground.there in there:
        ground.foothold.look()
    assert ground.mended == sum(pair == (False, False) for pair in pairwise(there))


def test_what_cannot_be_mended_is_said_once_and_again_when_it_is_something_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ground = Ground(there=False, fails="no room")
    for _ in range(3):
        ground.foothold.look()
    assert [record.getMessage() for record in caplog.records] == ["foothold.lost"]
    ground.fails = "no directory"
    ground.foothold.look()
    ground.fails = ""
    ground.foothold.look()
    assert ground.there
    said = [record.getMessage() for record in caplog.records]
    assert said == ["foothold.lost", "foothold.lost", "foothold.mended"]


# --- the lock ------------------------------------------------------------------------------------


def test_the_lock_names_its_holder_and_the_next_one_is_told(tmp_path: Path) -> None:
    store = str(tmp_path / "k.db")
    lock = StoreLock(store, Holder(os.getpid(), "/run/s.sock", "/c.toml", "1.2.3"))
    lock.acquire()
    found = holder.of(store)
    assert found is not None
    assert (found.pid, found.socket, found.config) == (os.getpid(), "/run/s.sock", "/c.toml")
    with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}.*/run/s.sock.*/c.toml"):
        StoreLock(store).acquire(sleep=lambda _: None)
    lock.release()
    assert holder.of(store) is None
    assert holder.named_by(store) is not None  # what is written stays


def test_a_shorter_description_leaves_nothing_of_the_longer(tmp_path: Path) -> None:
    store = str(tmp_path / "k.db")
    for me in (Holder(1, "/a" * 100, "/b" * 100, "0"), Holder(7)):
        lock = StoreLock(store, me)
        lock.acquire()
        assert Path(lock.path).read_bytes() == me.encode()
        lock.release()


@pytest.mark.parametrize("how", ["unlink", "replace"])
def test_a_lock_that_is_gone_is_missed_and_taken_again(tmp_path: Path, how: str) -> None:
    store = str(tmp_path / "k.db")
    lock = StoreLock(store)
    lock.acquire()
    assert not lock.missing()
    if how == "unlink":
        os.unlink(lock.path)
    else:
        (tmp_path / "new").write_text("")
        os.replace(tmp_path / "new", lock.path)
    assert lock.missing()
    lock.take_again()
    assert not lock.missing()
    assert holder.held(store)
    lock.release()


def test_a_lock_that_another_has_taken_meanwhile_is_not_had(tmp_path: Path) -> None:
    store = str(tmp_path / "k.db")
    first, second = StoreLock(store), StoreLock(store)
    first.acquire()
    os.unlink(first.path)
    second.acquire()
    assert first.missing()
    with pytest.raises(AlreadyRunning):
        first.take_again()
    first.release()
    second.release()
