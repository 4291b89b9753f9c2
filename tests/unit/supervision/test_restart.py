"""When a child is started again: the policy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor import exitcodes
from khive_supervisor.config.settings.service import SupervisorSettings
from khive_supervisor.supervision.processes.restart import (
    AGAIN_AFTER,
    AGAIN_AT_LEAST,
    PERMANENT_EXITS,
    Deaths,
    RestartPolicy,
    RestartVerdict,
    after_death,
)

POLICIES = st.builds(
    RestartPolicy,
    backoff=st.floats(0.01, 10),
    backoff_max=st.floats(10, 100),
    limit=st.integers(1, 20),
    window=st.floats(1, 1000),
)
UNIT = st.floats(0, 1)


def die(policy: RestartPolicy, history: Deaths, now: float, code: int = -9) -> RestartVerdict:
    return after_death(policy, history, now=now, code=code, jitter=1.0)


def test_delays_double_up_to_the_longest() -> None:
    policy = RestartPolicy(backoff=1, backoff_max=5, limit=10, window=1000)
    history: Deaths = ()
    delays = []
    for now in range(5):
        verdict = die(policy, history, float(now))
        assert verdict.at is not None
        delays.append(verdict.at - now)
        history = verdict.deaths
    assert delays == [1, 2, 4, 5, 5]


def test_too_many_deaths_within_the_window_end_it() -> None:
    policy = RestartPolicy(limit=3, window=10)
    history: Deaths = ()
    for now in (0.0, 1.0, 2.0):
        verdict = die(policy, history, now)
        assert verdict.at is not None
        history = verdict.deaths
    last = die(policy, history, 3.0)
    assert last.at is None
    assert last.reason == "4 deaths within 10 s"


def test_deaths_outside_of_the_window_are_forgiven() -> None:
    policy = RestartPolicy(backoff=1, limit=1, window=10)
    history: Deaths = ()
    for now in range(0, 1000, 10):
        verdict = die(policy, history, float(now))
        assert verdict.at == now + 1
        history = verdict.deaths
    assert len(history) == 1


@pytest.mark.parametrize("code", sorted(PERMANENT_EXITS))
def test_an_exit_that_says_never_again_is_believed_at_once(code: int) -> None:
    verdict = die(RestartPolicy(), (), 0.0, code)
    assert verdict.at is None
    assert str(code) in verdict.reason


def test_the_exits_that_say_never_again_are_these() -> None:
    assert sorted(PERMANENT_EXITS) == [3, 4, 7, 125]
    assert AGAIN_AT_LEAST < AGAIN_AFTER == 30


def test_a_policy_by_default_is_that_of_the_settings() -> None:
    settings = SupervisorSettings()
    assert RestartPolicy() == RestartPolicy(
        settings.restart_backoff,
        settings.restart_backoff_max,
        settings.restart_limit,
        settings.restart_window,
    )


def test_a_temporary_failure_is_no_permanent_one() -> None:
    assert exitcodes.TEMPORARY not in PERMANENT_EXITS
    assert exitcodes.FAILURE not in PERMANENT_EXITS


@given(POLICIES, st.lists(st.tuples(st.floats(0, 100), UNIT), max_size=40))
def test_a_restart_is_never_early_never_late_and_never_too_often(
    policy: RestartPolicy, deaths: list[tuple[float, float]]
) -> None:
    history: Deaths = ()
    now, allowed = 0.0, []
    for gap, jitter in deaths:
        now += gap
        verdict = after_death(policy, history, now=now, code=1, jitter=jitter)
        history = verdict.deaths
        assert all(now - t < policy.window for t in history)
        if verdict.at is None:
            assert len(history) > policy.limit
            break
        delay = verdict.at - now
        assert policy.backoff / 2 - 1e-6 <= delay <= policy.backoff_max + 1e-6
        allowed.append(now)
    for start in allowed:
        assert sum(0 <= t - start < policy.window for t in allowed) <= policy.limit


@given(POLICIES, st.lists(st.floats(0, 1000), max_size=10), st.floats(1000, 2000), UNIT)
def test_the_same_death_gets_the_same_verdict(
    policy: RestartPolicy, deaths: list[float], now: float, jitter: float
) -> None:
    history = tuple(sorted(deaths))
    first = after_death(policy, history, now=now, code=1, jitter=jitter)
    assert first == after_death(policy, history, now=now, code=1, jitter=jitter)
    assert history == tuple(sorted(deaths))
