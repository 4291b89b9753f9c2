"""Feedback under fire: many writers, killed ones, a full disk. Each event counts exactly once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from khive_supervisor.profiles.model import DEFAULT, FEEDBACK, ProfileEvent
from khive_supervisor.profiles.replay import verify
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ROOT = Path(__file__).parents[2]
CHILD = str(Path(__file__).with_name("profile_child.py"))
Process = subprocess.Popen[bytes]


@contextmanager
def child(role: str, path: str, name: str, count: int) -> Iterator[Process]:
    """A process of the test's own; it and its pipes are gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, CHILD, role, path, name, str(count)],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> str:
    found = str(tmp_path / "khive.db")
    with SqliteStore(found) as store:
        store.entries.add(
            [NewEntry("memory", "n", "k", "", f"content {number}") for number in range(4)]
        )
    return found


def given(store: SqliteStore) -> list[ProfileEvent]:
    events = store.profiles.events(DEFAULT, limit=100_000)
    return [event for event in events if event.kind == FEEDBACK]


def acknowledged(lines: list[bytes]) -> dict[int, int]:
    """The numbers of a child's events, with what the store called them; whole lines only."""
    pairs = (line.split() for line in lines if line.endswith(b"\n"))
    return {int(number): int(seq) for number, seq in pairs}


@pytest.mark.parametrize("killed_after", [None, (1, 60, 130)])
def test_four_writers_at_once_count_each_event_exactly_once(
    path: str, killed_after: tuple[int, ...] | None
) -> None:
    # Those that are to be killed would go on for long: they die at work.
    counts = [200] + 3 * [200 if killed_after is None else 10**6]
    names = [f"writer{number}" for number in range(4)]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(child("give", path, name, count))
            for name, count in zip(names, counts, strict=True)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"g")
        said: dict[str, list[bytes]] = {name: [] for name in names}
        for name, writer, after in zip(names[1:], writers[1:], killed_after or (), strict=False):
            assert writer.stdout is not None
            said[name] = [writer.stdout.readline() for _ in range(after)]
            writer.kill()
        for name, writer in zip(names, writers, strict=True):
            output, errors = writer.communicate()
            assert errors == b""
            said[name] += output.splitlines(keepends=True)
    with SqliteStore(path) as store:
        events = given(store)
        found = {(event.actor, int(event.serve or -1)): event.seq for event in events}
        assert len(found) == len(events), "an event was doubled"
        for name in names:
            numbers = acknowledged(said[name])
            assert list(numbers) == list(range(len(numbers)))
            assert all(found[name, number] == seq for number, seq in numbers.items())
            # What was durable when its writer died, but not yet said, is one event at most.
            mine = sum(actor == name for actor, _ in found)
            assert 0 <= mine - len(numbers) <= (killed_after is not None and name != names[0])
        assert len(acknowledged(said[names[0]])) == 200
        if killed_after is None:
            assert len(events) == 800
        profile = store.profiles.all()[0]
        assert profile.events == len(events)
        assert sum(event.counted for event in events) > 0
        assert verify(store.profiles, DEFAULT) == []
        assert store.quick_check() == []


def test_a_full_disk_in_the_middle_of_feedback_leaves_nothing_of_it(path: str) -> None:
    with child("fill", path, "only", 600_000) as process:
        output, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
    word, number = output.split()
    assert word == b"done"
    with SqliteStore(path) as store:
        assert [event.serve for event in given(store)] == [str(n) for n in range(int(number))]
        assert int(number) > 10
        assert verify(store.profiles, DEFAULT) == []
