"""Waits of commands: a word after a second, once, and an end."""

from __future__ import annotations

import pytest

from khive_supervisor.cli.connection.waiting import LOOK_AGAIN, SAY_AFTER, Wait


class Clock:
    """A clock that goes on as long as somebody pauses."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_a_wait_has_a_word_and_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    wait = Wait(2.0, clock, clock.pause)
    said_at, looks = None, 0
    while wait.goes_on("Waiting for tea."):
        looks += 1
        if said_at is None and capsys.readouterr().err == "Waiting for tea.\n":
            said_at = clock.now - LOOK_AGAIN - 100.0
    assert said_at is not None
    assert SAY_AFTER < said_at <= SAY_AFTER + LOOK_AGAIN + 1e-6
    assert capsys.readouterr().err == ""
    assert 2.0 / LOOK_AGAIN <= looks <= 2.0 / LOOK_AGAIN + 1
    assert 2.0 < clock.now - 100.0 <= 2.0 + LOOK_AGAIN + 1e-6


def test_a_wait_that_has_no_word_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    wait = Wait(5.0, clock, clock.pause)
    while wait.goes_on():
        pass
    assert capsys.readouterr() == ("", "")


def test_one_that_is_over_does_not_pause() -> None:
    clock = Clock()
    wait = Wait(1.0, clock, clock.pause)
    clock.now += 1.5
    assert not wait.goes_on("Waiting.")
    assert clock.now == 101.5
