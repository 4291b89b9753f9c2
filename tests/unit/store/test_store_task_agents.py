"""What the store keeps of agents and of the directories that tasks are done in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.store.interface import Store
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, NewTask, Outcome

NOW = Moment("boot", 1000.0)
LATER = Moment("boot", 2000.0)
ME = Claimant("r", "w1")


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        yield opened


def test_the_next_attempt_has_the_session_and_the_callers_directory(store: Store) -> None:
    number = store.tasks.assign(NewTask("r", cwd="/home/me"))[0].id
    first = store.tasks.claim(ME, NOW)
    assert first is not None
    assert (first.cwd, first.agent_session, first.agent_counted) == ("/home/me", "", 0)
    assert store.tasks.note_session(number, first.token, "codex:1", 240)
    left = {"kind": "worktree", "path": "/p", "changed": 1}
    store.tasks.finish(number, first.token, Outcome(FAILED, error="x", place=left), NOW)
    waiting = store.tasks.find(number)
    assert waiting is not None
    assert (waiting.place, waiting.agent_session) == (left, "codex:1")
    second = store.tasks.claim(ME, LATER)
    assert second is not None
    assert (second.agent_session, second.agent_counted) == ("codex:1", 240)
    # Who was thought dead changes nothing; nor does a directory that is gone stay written.
    assert not store.tasks.note_session(number, first.token, "codex:2", 1)
    store.tasks.finish(number, second.token, Outcome(DONE, result=1), LATER)
    done = store.tasks.find(number)
    assert done is not None
    assert (done.place, done.agent_session, done.cwd) == (None, "codex:1", "/home/me")
    assert not store.tasks.note_session(number, second.token, "codex:3", 1)
