"""What signals do, and how much of what one source says counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles.admission import (
    EXPLICIT_CAP,
    HALF_LIFE,
    IMPLICIT_CAP,
    account,
    admitted,
    decayed,
)
from khive_supervisor.profiles.signals import NOTHING, PROMPT_US, SIGNALS, Effect, effect, named

FOR, AGAINST = (1.0, 0.0), (0.0, 1.0)


@pytest.mark.parametrize(
    ("signal", "weights", "target"),
    [
        ("useful", {"salience": (1, 0)}, (1, 0)),
        ("not_useful", {"salience": (0, 1)}, (0, 1)),
        ("wrong", {"salience": (0, 1)}, (0, 1)),
        ("explicit_positive", {"salience": (1.5, 0)}, (1.5, 0)),
        ("explicit_negative", {"salience": (0, 1.5)}, (0, 1.5)),
        ("implicit_positive", {"salience": (0.5, 0)}, (0.5, 0)),
        ("implicit_negative", {"salience": (0, 0.5)}, (0, 0.5)),
        ("correction", {"salience": (0, 2), "relevance": (0, 2)}, (0, 2)),
        ("recall_hit", {"relevance": (1, 0)}, (1, 0)),
        ("recall_miss", {"relevance": (0, 1)}, None),
    ],
)
def test_the_whole_effect_of_each_signal(
    signal: str, weights: dict[str, tuple[float, float]], target: tuple[float, float] | None
) -> None:
    one = SIGNALS[signal]
    assert effect(one, one.weight) == Effect(weights, target)
    half = effect(one, one.weight / 2)
    assert half == Effect(
        {name: (good / 2, bad / 2) for name, (good, bad) in weights.items()},
        target and (target[0] / 2, target[1] / 2),
    )
    assert effect(one, 0.0) == NOTHING


def test_the_cases_above_name_every_signal() -> None:
    assert len(SIGNALS) == 10


@pytest.mark.parametrize(("latency", "temporal"), [(0, FOR), (PROMPT_US, FOR), (50_001, AGAINST)])
def test_a_hit_speaks_for_the_temporal_weight_if_it_was_prompt(
    latency: int, temporal: tuple[float, float]
) -> None:
    assert effect(SIGNALS["recall_hit"], 1.0, latency).weights["temporal"] == temporal
    assert "temporal" not in effect(SIGNALS["recall_miss"], 1.0, latency).weights


def test_an_unknown_signal_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="no signal 'lovely'") as caught:
        named("lovely")
    assert "useful" in caught.value.hint


def test_a_mass_halves_in_a_week_and_never_grows() -> None:
    assert decayed(2.0, 0.0, HALF_LIFE) == 1.0
    assert decayed(2.0, HALF_LIFE, 0.0) == 2.0
    assert decayed(2.0, 0.0, 1e300) == 0.0


SAID = st.tuples(st.floats(-1e6, 1e7), st.sampled_from([0.5, 1.0, 1.5, 2.0]))


@given(st.lists(SAID, max_size=60), st.sampled_from([IMPLICIT_CAP, EXPLICIT_CAP]))
def test_whatever_the_clock_does_a_mass_stays_below_its_cap(
    said: list[tuple[float, float]], cap: float
) -> None:
    mass, at = 0.0, 0.0
    for now, weight in said:
        counted, mass = admitted(mass, at, now, weight, cap)
        assert 0 <= counted <= weight
        assert mass <= cap + 1e-9
        at = now


@given(st.integers(1, 200), st.sampled_from([0.5, 1.0, 2.0]))
def test_a_source_that_repeats_itself_at_once_counts_its_cap_and_no_more(
    times: int, weight: float
) -> None:
    mass, total = 0.0, 0.0
    for _ in range(times):
        counted, mass = admitted(mass, 5.0, 5.0, weight, EXPLICIT_CAP)
        total += counted
    assert total == min(times * weight, EXPLICIT_CAP)


def test_room_of_less_than_a_hundredth_waits_until_there_is_more() -> None:
    _, mass = admitted(0.0, 0.0, 0.0, 1.0, 1.0)
    assert admitted(mass, 0.0, 60.0, 1.0, 1.0)[0] == 0.0
    assert admitted(mass, 0.0, 86_400.0, 1.0, 1.0)[0] == pytest.approx(1 - 0.5 ** (1 / 7))


@pytest.mark.parametrize(
    ("weight", "room", "counted"),
    [
        (1.0, 0.01, 0.01),
        (1.0, 0.0099, 0.0),
        (2.0, 0.02, 0.02),
        (2.0, 0.0199, 0.0),
        (0.5, 0.005, 0.005),
        (0.5, 0.0049, 0.0),
        (1.0, 0.0, 0.0),
        (1.0, -0.5, 0.0),
    ],
)
def test_the_least_room_is_a_share_of_what_is_said(
    weight: float, room: float, counted: float
) -> None:
    assert admitted(0.0, 0.0, 0.0, weight, room) == (counted, counted)


def test_what_a_miss_says_is_about_no_entry_even_if_one_is_named() -> None:
    miss = SIGNALS["recall_miss"]
    assert account(miss, 7, "s", "") == account(miss, None, "s", "")
    assert account(SIGNALS["useful"], None, "s", "").entry_id == 0
    assert account(SIGNALS["useful"], 7, "s", "").entry_id == 7
    assert account(SIGNALS["recall_hit"], None, "s", "").entry_id == 0


def test_all_implicit_feedback_on_a_target_counts_at_most_one_useful() -> None:
    assert SIGNALS["useful"].weight == IMPLICIT_CAP
    accounts = {
        account(SIGNALS[name], 7, session, "ada")
        for name in ("implicit_positive", "implicit_negative", "recall_hit")
        for session in ("a", "b", "")
    }
    assert len(accounts) == 1
    assert accounts.pop().cap == IMPLICIT_CAP


def test_an_explicit_word_is_a_session_s_else_an_actor_s() -> None:
    useful = SIGNALS["useful"]
    assert account(useful, 7, "s", "ada") == account(useful, 7, "s", "bob")
    assert account(useful, 7, "s", "") != account(useful, 7, "", "s")
    assert account(useful, 7, "", "") != account(SIGNALS["implicit_positive"], 7, "", "")
    assert account(useful, 7, "s", "").cap == EXPLICIT_CAP
    assert account(SIGNALS["recall_miss"], None, "s", "").entry_id == 0
