"""The directory around a handler: entered beside the loop, stopped with it, tidied up after it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from khive_workers.role.handlers import Why
from khive_workers.role.place import PlaceHandler
from support import wait_until

from khive_supervisor.errors import GitFailed
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, Claim, Outcome
from khive_supervisor.worktrees import place


def claim(attempts: int = 1, cwd: str = "") -> Claim:
    moment = Moment("b", 0)
    return Claim(7, 1, "dev", "t", None, attempts, 3, moment, None, "", "", "", cwd=cwd)


class Inner:
    """A handler that comes to what it is told, at once."""

    ends, tidies = True, 0.0

    def __init__(self, outcome: Outcome | None) -> None:
        self.gives = outcome
        self.began: list[Claim] = []
        self.stopped: list[Why] = []

    def check(self) -> None:
        """Fine."""

    def begin(self, claim: Claim) -> None:
        self.began.append(claim)

    def outcome(self) -> Outcome | None:
        return self.gives

    def progress(self) -> str | None:
        return "working"

    def stop(self, why: Why) -> None:
        self.stopped.append(why)
        self.gives = Outcome(CANCELLED, error="cancelled")

    def turn(self, now: float) -> float | None:
        return now

    def close(self) -> None:
        """Nothing."""


class Bench:
    def __init__(self, top: Path, kind: str = "fresh", gives: Outcome | None = None) -> None:
        self.inner = Inner(gives)
        inner: Any = self.inner
        self.woken = threading.Event()
        self.top = str(top)
        self.handler = PlaceHandler(inner, kind, "auto", self.top, os.environ, self.woken.set)

    def came(self) -> Outcome:
        found: Outcome = wait_until(self.handler.outcome, "it has an outcome")
        return found


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_handler_gets_a_directory_that_is_gone_afterwards(tmp_path: Path) -> None:
    bench = Bench(tmp_path, gives=Outcome(DONE, result=1))
    bench.handler.begin(claim())
    assert bench.came() == Outcome(DONE, result=1)
    assert bench.woken.is_set()
    (began,) = bench.inner.began
    assert began.directory == f"{tmp_path}/t7/tree"
    assert not os.path.exists(f"{tmp_path}/t7")
    assert bench.handler.outcome() is None


def test_it_stays_for_the_next_attempt_and_goes_after_the_last(tmp_path: Path) -> None:
    bench = Bench(tmp_path, gives=Outcome(FAILED, error="x"))
    bench.handler.begin(claim())
    assert bench.came().place is None
    assert os.path.isdir(f"{tmp_path}/t7/tree")
    bench.handler.begin(claim(attempts=3))
    assert bench.came().state == FAILED
    assert not os.path.exists(f"{tmp_path}/t7")


def test_a_task_that_another_has_now_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.handler.begin(claim())
    wait_until(lambda: bench.handler.outcome() or bench.inner.began, "it works")
    assert bench.handler.progress() == "working"
    bench.handler.stop(Why.LOST)
    assert bench.inner.stopped == [Why.LOST]
    assert bench.came().state == CANCELLED
    assert os.path.isdir(f"{tmp_path}/t7/tree")


def test_a_stop_while_the_directory_is_made_ends_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def enter(git: Any, *_: Any) -> Any:
        entered.set()
        go_on.wait()
        git.run("status", cwd="/")

    monkeypatch.setattr(place, "enter", enter)
    bench = Bench(tmp_path, "worktree")
    bench.handler.begin(claim(cwd=str(tmp_path)))
    entered.wait()
    assert bench.handler.outcome() is None
    bench.handler.stop(Why.CANCELLED)
    go_on.set()
    assert bench.came() == Outcome(CANCELLED, error="cancelled")
    assert bench.inner.began == []


def test_what_fails_in_making_it_is_a_failure_of_the_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def enter(*_: Any) -> Any:
        raise GitFailed("git worktree failed: disk full")

    monkeypatch.setattr(place, "enter", enter)
    bench = Bench(tmp_path, "worktree")
    bench.handler.begin(claim(cwd=str(tmp_path)))
    came = bench.came()
    assert (came.state, came.final, came.error) == (FAILED, False, "git worktree failed: disk full")


def test_the_callers_directory_must_be_known_and_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "caller", gives=Outcome(DONE))
    for cwd, said in (("", "not known"), (f"{tmp_path}/missing", "does not exist any more")):
        bench.handler.begin(claim(cwd=cwd))
        came = bench.came()
        assert (came.state, came.final) == (FAILED, True)
        assert said in (came.error or "")
    bench.handler.begin(claim(cwd=str(tmp_path)))
    assert bench.came() == Outcome(DONE)
    assert bench.inner.began[0].directory == str(tmp_path)
