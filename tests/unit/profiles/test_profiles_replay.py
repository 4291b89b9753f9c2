"""A profile computed again from its events: what each kind does, and how differences are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles import replay as module
from khive_supervisor.profiles.admission import EXPLICIT_CAP, HALF_LIFE, IMPLICIT_CAP
from khive_supervisor.profiles.model import (
    CREATED,
    FEEDBACK,
    IMPLICIT,
    LIFECYCLE,
    RESET,
    Mass,
    ProfileEvent,
    ProfileState,
    Target,
    Weights,
)
from khive_supervisor.profiles.posterior import UNKNOWN, Beta
from khive_supervisor.profiles.replay import (
    Replay,
    differences,
    verify,
    weights_detail,
    weights_from,
)
from khive_supervisor.profiles.signals import SIGNALS

PRIORS = Weights(Beta(5.0, 5.0), Beta(3.0, 7.0), Beta(2.0, 2.0))


def event(kind: str = FEEDBACK, signal: str | None = "useful", **fields: Any) -> ProfileEvent:
    """Return an event; by default, that one session finds entry 7 useful."""
    known = SIGNALS.get(signal or "")
    base = ProfileEvent(
        seq=1, at=0.0, kind=kind, signal=signal, entry_id=7, weight=known.weight if known else 0.0,
        counted=0.0, actor="ada", namespace="", session="s1", scorer_run=None, serve=None,
        detail={},
    )  # fmt: skip
    return replace(base, **fields)


def created(priors: Weights = PRIORS) -> ProfileEvent:
    return event(CREATED, None, detail={"priors": weights_detail(priors)})


def replay(events: Iterable[ProfileEvent]) -> ProfileState:
    """Return the state that a profile's events make, all of them and in order."""
    run = Replay()
    for one in events:
        run.take(one)
    return run.state


def numbered(*events: ProfileEvent) -> list[ProfileEvent]:
    return [replace(one, seq=number) for number, one in enumerate(events, 1)]


# --- what events do -------------------------------------------------------------------------------


def test_nothing_has_happened_to_a_profile_without_events() -> None:
    assert replay([]) == ProfileState(Weights(), {}, {}, 0, 0, "active")


def test_a_profile_begins_with_its_priors() -> None:
    assert replay([created()]).weights == PRIORS
    assert replay([created()]).events == 0


def test_a_word_moves_the_weight_and_the_target_that_it_is_about() -> None:
    state = replay([created(), event()])
    assert state.weights == replace(PRIORS, salience=Beta(4.0, 7.0))
    assert state.targets == {7: Target(UNKNOWN.plus(1.0, 0.0), 1)}
    assert state.masses == {(7, "session:s1"): Mass(1.0, 0.0)}
    assert state.events == 1


def test_the_same_word_of_the_same_session_counts_up_to_its_cap() -> None:
    state = replay([event() for _ in range(5)])
    assert state.events == 5
    assert state.targets[7] == Target(UNKNOWN.plus(EXPLICIT_CAP, 0.0), 2)
    assert state.masses[7, "session:s1"] == Mass(EXPLICIT_CAP, 0.0)


def test_what_is_not_counted_leaves_the_mass_of_its_source_as_of_then() -> None:
    first, second = event(), event()
    late = event(at=60.0)  # of what would fit, less than a hundredth
    assert replay([first, second, late]).masses[7, "session:s1"].at == 0.0
    week = event(at=HALF_LIFE)
    assert replay([first, second, week]).masses[7, "session:s1"] == Mass(EXPLICIT_CAP, HALF_LIFE)


def test_sessions_have_masses_of_their_own_and_implicit_words_one_in_common() -> None:
    state = replay(
        [
            event(session="s1"),
            event(session="s2"),
            event(session="", actor="bob"),
            event(IMPLICIT, "implicit_positive", session="s1"),
            event(IMPLICIT, "implicit_positive", session="s2"),
            event(IMPLICIT, "implicit_positive", session="s3"),
        ]
    )
    assert state.masses == {
        (7, "session:s1"): Mass(1.0, 0.0),
        (7, "session:s2"): Mass(1.0, 0.0),
        (7, "actor:bob"): Mass(1.0, 0.0),
        (7, ""): Mass(IMPLICIT_CAP, 0.0),
    }
    assert state.targets[7].posterior == UNKNOWN.plus(3.0 + IMPLICIT_CAP, 0.0)
    assert state.targets[7].events == 5  # the last one did not count


@pytest.mark.parametrize(("latency", "alpha", "beta"), [(1, 1, 0), (60_000, 0, 1), (None, 0, 0)])
def test_a_hit_moves_the_temporal_weight_by_how_long_it_took(
    latency: int | None, alpha: int, beta: int
) -> None:
    detail = {} if latency is None else {"latency_us": latency}
    state = replay([created(), event(IMPLICIT, "recall_hit", detail=detail)])
    assert state.weights.temporal == PRIORS.temporal.plus(alpha, beta)
    assert state.weights.relevance == PRIORS.relevance.plus(1, 0)


def test_a_miss_is_about_no_entry() -> None:
    state = replay([created(), event(FEEDBACK, "recall_miss", entry_id=None)])
    assert state.targets == {}
    assert state.weights.relevance == PRIORS.relevance.plus(0, 1)
    assert state.masses == {(0, "session:s1"): Mass(1.0, 0.0)}


def test_a_word_about_nothing_moves_no_target() -> None:
    assert replay([event(entry_id=None)]).targets == {}


def test_what_has_no_signal_is_counted_as_an_event_and_says_nothing() -> None:
    state = replay([created(), event(FEEDBACK, None)])
    assert (state.events, state.weights, state.targets) == (1, PRIORS, {})


def test_a_signal_of_another_release_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="no signal 'lovely'"):
        replay([event(FEEDBACK, "lovely")])


def test_a_reset_goes_back_to_the_priors_and_keeps_the_count() -> None:
    state = replay([created(), event(), event(RESET, None)])
    assert state == ProfileState(PRIORS, {}, {}, 1, 1, "active")
    again = replay([created(), event(), event(RESET, None), event(), event(RESET, None)])
    assert (again.events, again.epoch, again.weights) == (2, 2, PRIORS)


def test_what_the_profile_is_said_to_be_is_kept() -> None:
    events = [created(), event(LIFECYCLE, None, detail={"to": "inactive"})]
    assert replay(events).lifecycle == "inactive"
    assert replay([*events, event(LIFECYCLE, None, detail={"to": "active"})]).lifecycle == "active"


def test_a_state_that_was_taken_out_does_not_change_any_more() -> None:
    run = Replay()
    run.take(event())
    before = run.state
    run.take(event(entry_id=8))
    assert set(before.targets) == {7}
    assert set(run.state.targets) == {7, 8}


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from([FEEDBACK, IMPLICIT]),
        st.sampled_from([*SIGNALS, None]),
        at=st.floats(0, 1e7),
        entry_id=st.sampled_from([None, 1, 2]),
        session=st.sampled_from(["", "a", "b"]),
    ),
    max_size=25,
)


@given(EVENTS)
def test_nobody_is_counted_above_a_cap_and_nothing_falls(events: list[ProfileEvent]) -> None:
    state = replay([created(), *events])
    assert state.events == len(events)
    assert all(0 < mass.mass <= EXPLICIT_CAP + 1e-9 for mass in state.masses.values())
    for (_, before), (_, after) in zip(PRIORS.items(), state.weights.items(), strict=True):
        assert after.alpha >= before.alpha
        assert after.beta >= before.beta
    for target in state.targets.values():
        assert target.posterior.ess > UNKNOWN.ess
        assert 0 < target.events <= len(events)


@given(EVENTS, EVENTS)
def test_a_reset_forgets_all_that_was_said_before(
    before: list[ProfileEvent], after: list[ProfileEvent]
) -> None:
    whole = replay([created(), *before, event(RESET, None), *after])
    fresh = replay([created(), *after])
    assert (whole.weights, whole.targets, whole.masses) == (
        fresh.weights, fresh.targets, fresh.masses,
    )  # fmt: skip


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6))
def test_weights_are_read_as_they_are_written(alpha: float, beta: float) -> None:
    weights = Weights(Beta(alpha, beta), Beta(beta, alpha), Beta(alpha, alpha))
    assert weights_from(weights_detail(weights)) == weights


# --- comparing ------------------------------------------------------------------------------------


class Store:
    """Profiles' events in memory, given page by page."""

    def __init__(self, events: list[ProfileEvent], state: ProfileState | None = None) -> None:
        self.all, self.stored = events, replay(events) if state is None else state
        self.last = len(events)
        self.asked: list[int] = []

    def state(self, name: str) -> tuple[ProfileState, int]:
        assert name == "careful"
        return self.stored, self.last

    def events(self, name: str, after_seq: int, limit: int) -> list[ProfileEvent]:
        assert name == "careful"
        self.asked.append(after_seq)
        return [one for one in self.all if one.seq > after_seq][:limit]


def test_a_profile_that_is_as_its_events_say_has_no_difference() -> None:
    assert verify(Store(numbered(created(), event(), event(entry_id=8))), "careful") == []
    assert verify(Store([]), "careful") == []


def test_events_are_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    store = Store(numbered(created(), *(event(entry_id=n) for n in range(7))))
    assert verify(store, "careful") == []
    assert store.asked == [0, 3, 6]


def test_what_others_write_meanwhile_is_left_out() -> None:
    store = Store(numbered(created(), event()))
    store.all += [replace(event(), seq=3), replace(event(entry_id=9), seq=4)]
    assert verify(store, "careful") == []
    store.last = 3
    assert len(verify(store, "careful")) > 0


def test_the_smallest_difference_is_told() -> None:
    state = replay([created(), event()])
    more = replace(state.weights, salience=Beta(4.0, 7.000000000000001))
    (told,) = differences(replace(state, weights=more), state)
    assert told == (
        "salience is Beta(4.0, 7.000000000000001) in the tables and Beta(4.0, 7.0) by the events"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": {}}, "2 of 2 targets differ"),
        ({"targets": {7: Target(UNKNOWN, 9)}}, "2 of 2 targets differ"),
        ({"masses": {(7, "x"): Mass(1.0, 0.0)}}, "3 of 3 masses differ"),
        ({"events": 9}, "events is 9 in the table and 2 by the events"),
        ({"epoch": 1}, "epoch is 1 in the table and 0 by the events"),
        ({"lifecycle": "inactive"}, "lifecycle is inactive in the table and active by the events"),
    ],
)
def test_each_part_that_differs_is_named(change: dict[str, Any], told: str) -> None:
    state = replay([created(), event(), event(entry_id=8)])
    assert differences(replace(state, **change), state) == [told]
    assert differences(state, state) == []


def test_all_that_differs_is_told_at_once() -> None:
    state = replay([created(), event()])
    other = ProfileState(Weights(), {}, {}, 0, 3, "archived")
    assert len(differences(other, state)) == 3 + 2 + 3
