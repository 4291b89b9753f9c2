"""A session that serves itself comes over to a supervisor: when, and who starts one."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import Any

import pytest
from khive_workers.session import coming_over
from khive_workers.session.coming_over import LOOK_AFTER, LOOK_AFTER_MAX, START_EVERY, Starter
from one_answer import client_that_hears

from khive_supervisor import __version__
from khive_supervisor.errors import NotRunning
from khive_supervisor.host.holder import Holder


class Waits:
    """Stands for `asyncio.sleep`: how long was waited, and what happens meanwhile."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.then: dict[int, Any] = {}

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if happens := self.then.get(len(self.seconds)):
            happens()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    made = Waits()
    monkeypatch.setattr(coming_over.asyncio, "sleep", made)
    return made


class Starts:
    """Stands for a `Starter`: counts the starts."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self.at: list[int] = []
        self.looks = 0

    def __call__(self) -> None:
        self.at.append(self.looks)


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each look for a supervisor finds; the last one for ever."""
    found = [False]

    def look(_store: str) -> bool:
        return found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(coming_over, "answers", look)
    monkeypatch.setattr(coming_over.holder, "held", lambda _store: False)
    return found


def test_a_supervisor_that_answers_is_waited_for_no_longer(waits: Waits, back: list[bool]) -> None:
    back[:] = [True]
    start = Starts()
    asyncio.run(coming_over.supervisor_is_back("/s", start))  # type: ignore[arg-type]  # as a starter
    assert (waits.seconds, start.at) == ([], [])


def test_looks_become_rarer_and_a_start_is_tried_now_and_then(
    waits: Waits, back: list[bool]
) -> None:
    back[:] = [False] * 12 + [True]
    start = Starts()
    asyncio.run(coming_over.supervisor_is_back("/s", start))  # type: ignore[arg-type]  # as a starter
    assert waits.seconds[0] == LOOK_AFTER
    assert waits.seconds == sorted(waits.seconds)
    assert waits.seconds[-1] == LOOK_AFTER_MAX
    assert len(start.at) == 12 // START_EVERY


@pytest.mark.parametrize("offset", range(START_EVERY))
def test_not_all_sessions_start_one_at_once(waits: Waits, back: list[bool], offset: int) -> None:
    back[:] = [False] * START_EVERY + [True]
    start = Starts(offset)
    waits.then = {n: lambda: setattr(start, "looks", start.looks + 1) for n in range(1, 9)}
    asyncio.run(coming_over.supervisor_is_back("/s", start))  # type: ignore[arg-type]  # as a starter
    assert start.at == [-offset % START_EVERY]


def test_a_store_that_somebody_holds_is_started_by_nobody_else(
    waits: Waits, back: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coming_over.holder, "held", lambda _store: True)
    back[:] = [False] * 9 + [True]
    start = Starts()
    asyncio.run(coming_over.supervisor_is_back("/s", start))  # type: ignore[arg-type]  # as a starter
    assert start.at == []


def test_a_session_leaves_between_two_calls(waits: Waits, back: list[bool]) -> None:
    back[:] = [True]
    busy = [True]
    left: list[int] = []
    waits.then = {3: busy.clear}

    async def leave() -> None:
        left.append(len(waits.seconds))

    asyncio.run(coming_over.come_over("/s", Starts(), lambda: not busy, leave))  # type: ignore[arg-type]  # as a starter
    assert left == [3]
    assert waits.seconds == [coming_over.IDLE_AGAIN] * 3


# --- who answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"children": [{"name": "zygote", "state": "ready"}]}, True),
        ({"children": [{"name": "zygote", "state": "fatal"}]}, True),  # it serves as it can
        ({"children": [{"name": "zygote", "state": "starting"}]}, False),
        ({"children": [{"name": "embedder", "state": "starting"}]}, True),
        ({}, True),
        (NotRunning("Nobody."), False),
        (OSError(), False),
    ],
)
def test_a_supervisor_is_back_once_it_has_who_starts_workers(
    monkeypatch: pytest.MonkeyPatch, answer: Any, *, found: bool
) -> None:
    monkeypatch.setattr(coming_over, "ControlClient", client_that_hears(answer, "/run/s"))
    holder = Holder(7, "/run/s", None, __version__)
    monkeypatch.setattr(coming_over.holder, "of", lambda _store: holder)
    assert coming_over.answers("/store") == found


@pytest.mark.parametrize("holder", [None, Holder(7)])
def test_a_store_that_nobody_holds_or_who_does_not_say_where_he_listens(
    monkeypatch: pytest.MonkeyPatch, holder: Holder | None
) -> None:
    monkeypatch.setattr(coming_over.holder, "of", lambda _store: holder)
    assert not coming_over.answers("/store")


# --- starting one ---------------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """What would have been run."""
    found: list[tuple[list[str], dict[str, Any]]] = []

    def run(argv: list[str], **how: Any) -> None:
        os.fstat(how["pass_fds"][0])  # it is open for whom it is meant
        found.append((argv, how))

    monkeypatch.setattr(subprocess, "run", run)
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_start_is_nobody_s_child_and_knows_no_session(
    runs: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_ACTOR", "ada")
    monkeypatch.setenv("NOTIFY_SOCKET", "/n")
    before = open_files()
    start = Starter("/k.toml")
    start()
    start()  # the one before is waited for no longer
    assert open_files() == before + 1
    start.close()
    start.close()
    assert open_files() == before
    ((argv, how), _) = runs
    assert argv[-2:] == ["--config", "/k.toml"]
    assert "--tell-fd" in argv
    assert how["start_new_session"]
    assert not {"KHIVE_ACTOR", "NOTIFY_SOCKET"} & set(how["env"])


@pytest.mark.parametrize(("others", "reserve", "starts"), [
    (None, True, 1), (False, True, 1), (True, False, 1), (True, True, 0),
])  # fmt: skip
def test_the_reserve_starts_one_for_all(
    runs: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch,
    others: bool | None, starts: int, *, reserve: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr(coming_over.reserve, "is_there", lambda: reserve)
    start = Starter(None, others=others)
    start()
    start.close()
    assert len(runs) == starts


def test_a_start_that_cannot_be_had_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_given: object, **_how: object) -> None:
        raise OSError("no shell")

    monkeypatch.setattr(subprocess, "run", run)
    before = open_files()
    start = Starter(None)
    start()
    start.close()
    assert open_files() == before
