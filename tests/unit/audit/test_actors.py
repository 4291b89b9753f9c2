"""Actors and subjects are written so that they can be looked for."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

import pytest

from khive_supervisor.audit import actors


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    actors.user.cache_clear()
    yield
    actors.user.cache_clear()


class Account:
    """What the password database says of a user."""

    pw_name = "ada"


def test_who_runs_this_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def lookup(uid: int) -> Account:
        asked.append(uid)
        return Account()

    monkeypatch.setattr(pwd, "getpwuid", lookup)
    assert [actors.user(), actors.user()] == ["user/ada", "user/ada"]
    assert asked == [os.getuid()]
    assert actors.command(4711) == "user/ada pid 4711"
    assert actors.command(None) == "user/ada"
    assert actors.command(0) == "user/ada pid 0"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> Account:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert actors.user() == f"user/{os.getuid()}"


def test_a_session_is_named_with_who_it_says_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: Account())
    assert actors.session("1a2b3c4d", "ada") == "session/1a2b3c4d ada"
    assert actors.session("1a2b3c4d", "") == "session/1a2b3c4d"
    assert actors.session("", "") == "user/ada"
    assert actors.session("", "bob") == "user/ada bob"


def test_subjects_have_their_kind_before_them() -> None:
    assert actors.worker("reviewer-1:4711") == "worker/reviewer-1:4711"
    assert actors.profile("careful") == "profile/careful"
    assert actors.role("reviewer") == "role/reviewer"
    assert len({actors.SUPERVISOR, actors.STORE, actors.INDEX, actors.CONFIGURATION}) == 4
