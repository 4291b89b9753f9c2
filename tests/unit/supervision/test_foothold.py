"""What a supervisor does about what it stands on: every pair of looks, and every failure."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import AlreadyRunning
from khive_supervisor.host import holder
from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.lock import StoreLock
from khive_supervisor.supervision.watch.foothold import Act, Foothold, Seen, decide

SEEN = st.builds(Seen, lock=st.booleans(), socket=st.booleans(), embedder=st.booleans())


@given(SEEN, SEEN)
def test_a_look_asks_for_what_is_gone_and_nothing_else(before: Seen, now: Seen) -> None:
    acts = decide(before, now)
    assert (Act.TAKE_LOCK in acts) == (not now.lock)
    assert (Act.BIND in acts) == (not now.socket)
    assert (Act.RENEW_EMBEDDER in acts) == (not now.embedder and not before.embedder)
    assert list(acts) == sorted(acts, key=list(Act).index)


@dataclass
class World:
    """What can be taken from under a supervisor."""

    lock: bool = True
    other_has_lock: bool = False
    socket: bool = True
    bind_fails: bool = False
    embedder: bool = True
    done: list[str] = field(default_factory=list)
    store: str = "/nowhere/khive.db"

    def missing(self) -> bool:
        return not self.lock

    def take_again(self) -> bool:
        self.lock = not self.other_has_lock
        return self.lock

    def bind(self) -> None:
        if self.bind_fails:
            raise OSError("no room")
        self.socket = True

    def renew(self) -> None:
        self.done.append("embedder")
        self.embedder = True

    def foothold(self) -> Foothold:
        return Foothold(
            self,
            lambda: not self.socket,
            self.bind,
            lambda: not self.embedder,
            self.renew,
            self.done.append,
        )


@given(st.lists(st.sampled_from(["lock", "socket", "embedder", "look"]), max_size=30))
def test_whatever_is_taken_in_any_order_is_back_after_two_looks(steps: list[str]) -> None:
    world = World()
    foothold = world.foothold()
    for step in [*steps, "look", "look"]:
        if step == "look":
            foothold.look()
        else:
            setattr(world, step, False)
    assert world.lock
    assert world.socket
    assert world.embedder
    assert set(world.done) <= {"embedder"}


def test_it_yields_to_who_has_the_lock_and_once_only_says_what_it_cannot_mend(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(lock=False, other_has_lock=True, socket=False, bind_fails=True)
    foothold = world.foothold()
    foothold.look()
    assert len(world.done) == 1
    assert "another one holds the store" in world.done[0]
    foothold.look()
    said = [record for record in caplog.records if record.getMessage() == "foothold.lost"]
    assert len(said) == 1
    world.bind_fails = False
    foothold.look()
    assert world.socket


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
    StoreLock(store, Holder(1, "/a" * 100, "/b" * 100, "0")).acquire()
    lock = StoreLock(store)
    lock.acquire() if not holder.held(store) else lock.describe(Holder(7))
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
    assert lock.take_again()
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
    assert not first.take_again()
    first.release()
    second.release()
