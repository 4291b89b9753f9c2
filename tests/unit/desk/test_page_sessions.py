"""Who has logged in to the page."""

from __future__ import annotations

import pytest
from khive_workers.desk.sessions import AT_ONCE, IDLE_LIMIT, PageSessions
from support import Clock


def test_a_session_lasts_while_it_is_used_and_ends_at_once_when_it_is_ended() -> None:
    clock = Clock(0.0)
    sessions = PageSessions(clock)
    key = sessions.begin()
    for _ in range(3):
        clock.now += IDLE_LIMIT - 1
        assert sessions.find(key) is not None
    sessions.end(key)
    assert sessions.find(key) is None
    other = sessions.begin()
    clock.now += IDLE_LIMIT
    assert sessions.find(other) is None
    assert len(sessions) == 0


@pytest.mark.parametrize("key", ["", "prepared-by-somebody", "\udcff"])
def test_nobody_chooses_a_key(key: str) -> None:
    sessions = PageSessions(Clock(0.0))
    sessions.begin()
    assert sessions.find(key) is None
    sessions.end(key)
    assert len(sessions) == 1


def test_one_too_many_ends_the_one_that_is_idle_for_longest() -> None:
    sessions = PageSessions(Clock(0.0))
    keys = [sessions.begin() for _ in range(AT_ONCE)]
    sessions.find(keys[0])
    sessions.begin()
    assert sessions.find(keys[0]) is not None
    assert sessions.find(keys[1]) is None


def test_a_change_shows_the_session_s_own_token() -> None:
    sessions = PageSessions(Clock(0.0))
    ours, theirs = (sessions.find(sessions.begin()) for _ in range(2))
    assert ours is not None
    assert theirs is not None
    assert ours.admits(ours.csrf)
    for wrong in ("", theirs.csrf, ours.csrf + " ", "\udcff"):
        assert not ours.admits(wrong)
