"""Transcripts are followed where somebody turned that on, and learned from in time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.supervision.maintenance import following
from khive_supervisor.supervision.maintenance.following import TranscriptFollower

CLIENT = "claude-code"


class Bench:
    """A follower, its store, its clock, and one client's folder."""

    def __init__(self, place: Path) -> None:
        self.now = 2_000_000_000.0
        self.store = SqliteStore(str(place / "khive.db"), clock=lambda: self.now)
        self.folder = place / "projects"
        (self.folder / "app").mkdir(parents=True)
        self.follower = TranscriptFollower(
            self.store, from_dict({}), clock=lambda: self.now, wall_clock=lambda: 0.0,
            roots={CLIENT: str(self.folder)},
        )  # fmt: skip

    def say(self, session: str, text: str, at: str = "2040-01-01T00:00:00Z") -> None:
        message = {"role": "user", "content": text}
        line = {"type": "user", "sessionId": session, "timestamp": at, "message": message}
        with (self.folder / "app" / f"{session}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def texts(self, session: str) -> list[str]:
        return [one.text for one in self.store.journal.of_session(CLIENT, session)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Bench(tmp_path)
    with made.store:
        yield made


def test_nothing_is_read_before_somebody_has_turned_it_on(bench: Bench) -> None:
    bench.say("s", "From now on use tabs.")
    assert bench.follower.look() == 0
    bench.store.capture.switch(None, True)
    assert bench.follower.look() == 1
    bench.store.capture.switch(None, False)
    bench.say("s", "more")
    assert bench.follower.look() == 0
    assert bench.texts("s") == ["From now on use tabs."]


def test_a_session_of_before_is_followed_from_where_it_is(bench: Bench) -> None:
    bench.say("old", "said long ago", at="2001-01-01T00:00:00Z")
    bench.store.capture.switch(None, True)
    assert bench.follower.look() == 0
    bench.say("old", "said now")
    assert bench.follower.look() == 1
    assert bench.texts("old") == ["said now"]


def test_a_session_is_learned_from_once_it_has_paused(bench: Bench) -> None:
    bench.store.capture.switch(None, True)
    bench.say("s", "From now on use tabs.")
    bench.follower.look()
    assert bench.store.entries.recent() == []
    bench.now += 21
    bench.follower.look()
    kinds = sorted(one.kind for one in bench.store.entries.recent())
    assert kinds == ["decision", "episodic"]


def test_what_cannot_be_learned_does_not_stop_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    bench.store.capture.switch(None, True)
    bench.say("s", "From now on use tabs.")
    bench.follower.look()
    bench.now += 21
    with monkeypatch.context() as patch:
        patch.setattr(following, "learn", full)
        assert bench.follower.look() == 0
    bench.say("s", "Never commit to main.")
    bench.follower.look()
    bench.now += 21
    bench.follower.look()
    assert len(bench.store.entries.recent()) == 2


def test_new_files_are_looked_for_now_and_then(bench: Bench) -> None:
    bench.store.capture.switch(None, True)
    bench.say("a", "one")
    bench.follower.look()
    bench.say("b", "two")
    assert bench.follower.look() == 0
    bench.now += 31
    assert bench.follower.look() == 1


def test_what_cannot_be_read_or_stored_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.store.capture.switch(None, True)
    bench.say("s", "one")

    def full(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(following, "take_in", full)
        assert bench.follower.look() == 0
    assert bench.follower.look() == 1
    (bench.folder / "app" / "s.jsonl").unlink()
    assert bench.follower.look() == 0
