"""When a watch is believed, when it is made anew, when it is given up for a while."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khive_supervisor.supervision.watch.health import (
    DIED,
    FRUITLESS,
    GONE,
    INOTIFY,
    MISSED,
    POLL,
    POLL_ALONE,
    REPLACED,
    WATCH_AGAIN,
    WatchHealth,
    WatchSigns,
)

HERE, THERE = (1, 10), (1, 11)
QUIET = WatchSigns(alive=True, directory=HERE, hinted=False, moved=False)
MOVED = replace(QUIET, moved=True)
HINTED = replace(QUIET, hinted=True)


@pytest.fixture
def health() -> WatchHealth:
    watched = WatchHealth(poll_interval=2.0)
    assert watched.examine(0.0, QUIET) is not None
    watched.built("", HERE)
    return watched


def test_at_first_nothing_is_watched_and_it_is_tried_at_once() -> None:
    health = WatchHealth(poll_interval=2.0)
    assert (health.path, health.interval) == (POLL, POLL_ALONE)
    assert health.examine(0.0, replace(QUIET, alive=False)) is not None
    health.built("", HERE)
    assert (health.path, health.interval, health.reason) == (INOTIFY, 2.0, "")
    assert (health.rebuilds, health.last_rebuild_reason) == (0, "")


def test_a_short_poll_interval_is_kept() -> None:
    assert WatchHealth(poll_interval=0.1).interval == 0.1


@pytest.mark.parametrize(
    ("signs", "why"),
    [
        (QUIET, None),
        (HINTED, None),
        (replace(HINTED, moved=True), None),
        (replace(QUIET, alive=False), DIED),
        (replace(QUIET, directory=THERE), REPLACED),
        (replace(QUIET, directory=None), GONE),
    ],
)
def test_one_look_at_a_watch(health: WatchHealth, signs: WatchSigns, why: str | None) -> None:
    assert health.examine(1.0, signs) == why


def test_a_change_without_an_event_is_missed_when_none_comes_until_the_next_tick(
    health: WatchHealth,
) -> None:
    assert health.examine(1.0, MOVED) is None
    assert health.examine(3.0, HINTED) is None  # it was only late
    assert health.missed == 0
    assert health.examine(5.0, MOVED) is None
    assert health.examine(7.0, QUIET) == MISSED
    health.built(MISSED, HERE)
    assert (health.missed, health.rebuilds, health.last_rebuild_reason) == (1, 1, MISSED)
    assert health.examine(9.0, QUIET) is None


def test_without_a_watch_it_is_tried_again_after_a_while(health: WatchHealth) -> None:
    assert health.examine(1.0, replace(QUIET, alive=False)) == DIED
    health.failed(1.0, DIED, HERE, "no inotify instance is left")
    assert (health.path, health.reason) == (POLL, "no inotify instance is left")
    assert health.interval == POLL_ALONE
    assert health.examine(WATCH_AGAIN, QUIET) is None
    assert health.examine(1.0 + WATCH_AGAIN, QUIET) == DIED
    health.built(DIED, HERE)
    assert (health.path, health.rebuilds, health.last_rebuild_reason) == (INOTIFY, 1, DIED)


def test_a_directory_that_comes_back_is_watched_at_once(health: WatchHealth) -> None:
    assert health.examine(1.0, replace(QUIET, directory=None)) == GONE
    health.failed(1.0, GONE, None, "No such file or directory")
    assert health.examine(1.2, replace(QUIET, directory=None)) is None
    assert health.examine(1.4, QUIET) == GONE
    health.built(GONE, HERE)
    assert (health.rebuilds, health.last_rebuild_reason) == (1, GONE)


def test_a_file_system_without_events_is_polled_after_some_attempts(health: WatchHealth) -> None:
    now, attempts = 0.0, 0
    while True:
        now += 2.0
        why = health.examine(now, MOVED)
        if why is None:
            continue
        assert why == MISSED
        if health.hopeless(why):
            break
        attempts += 1
        health.built(why, HERE)
    assert attempts == FRUITLESS
    health.failed(now, MISSED, HERE, "no events")
    assert not health.hopeless(MISSED)  # the next attempt, a minute later, is allowed
    assert health.examine(now + WATCH_AGAIN, MOVED) == MISSED


def test_one_event_shows_that_the_file_system_has_them(health: WatchHealth) -> None:
    for _ in range(3 * FRUITLESS):
        health.examine(1.0, MOVED)
        assert health.examine(2.0, QUIET) == MISSED
        assert not health.hopeless(MISSED)
        health.built(MISSED, HERE)
        health.examine(3.0, HINTED)
