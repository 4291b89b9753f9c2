"""The steps of a reload, and the life of a generation: only what the tables allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.supervision.reload.states import (
    RESTING,
    STEPS,
    Coordinator,
    ReloadEvent,
    ReloadPhase,
    after,
    ending,
)
from khive_supervisor.supervision.roles import lifecycle as generations
from khive_supervisor.supervision.roles.events import RoleOutcome
from khive_supervisor.supervision.roles.lifecycle import FINAL, TRANSITIONS, GenerationState


def allowed(now: Coordinator) -> list[ReloadEvent]:
    return sorted({event for phase, event in STEPS if phase is now.phase}, key=lambda e: e.value)


@given(st.data())
def test_any_course_counts_what_is_put_in_force_and_comes_to_rest(data: st.DataObject) -> None:
    now = Coordinator(digest="0")
    for _ in range(data.draw(st.integers(1, 40))):
        event = data.draw(st.sampled_from(allowed(now)))
        before = now
        now = after(now, event, digest=data.draw(st.sampled_from("0123")))
        assert now.generation - before.generation in (0, 1)
        assert (now.generation > before.generation) == (
            now.phase is ReloadPhase.STAGING != before.phase
        )
        assert now.digest == before.digest or event in (ReloadEvent.VALID, ReloadEvent.REVERTED)
    for _ in ReloadPhase:
        if now.busy:
            now = after(now, allowed(now)[0], digest="9")
    assert not now.busy


def test_a_course_without_trouble() -> None:
    now = after(Coordinator(digest="a"), ReloadEvent.BEGUN)
    assert (now.phase, now.busy) == (ReloadPhase.PARSING, True)
    now = after(now, ReloadEvent.VALID, digest="b")
    assert (now.phase, now.generation, now.digest) == (ReloadPhase.STAGING, 2, "b")
    for event in (ReloadEvent.STAGED, ReloadEvent.SWITCHED, ReloadEvent.DRAINED, ReloadEvent.KEPT):
        now = after(now, event)
    assert (now.phase, now.busy) == (ReloadPhase.DONE, False)


def test_what_is_in_force_already_is_no_change() -> None:
    now = after(after(Coordinator(digest="a"), ReloadEvent.BEGUN), ReloadEvent.VALID, digest="a")
    assert (now.phase, now.generation) == (ReloadPhase.DONE, 1)


def test_what_cannot_happen_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="impossible reload step idle: staged"):
        after(Coordinator(), ReloadEvent.STAGED)
    with pytest.raises(AssertionError, match="impossible reload step parsing: begun"):
        after(after(Coordinator(), ReloadEvent.BEGUN), ReloadEvent.BEGUN)
    with pytest.raises(AssertionError, match="impossible transition retired -> active"):
        generations.change(GenerationState.RETIRED, GenerationState.ACTIVE)


def test_a_reload_can_end_in_every_phase_of_work() -> None:
    for phase in set(ReloadPhase) - RESTING:
        assert STEPS[phase, ReloadEvent.BROKEN] is ReloadPhase.FAILED


@given(st.lists(st.sampled_from(list(RoleOutcome)), max_size=5))
def test_a_reload_is_kept_unless_a_role_was_not(outcomes: list[RoleOutcome]) -> None:
    undone = RoleOutcome.ROLLED_BACK in outcomes or RoleOutcome.FAILED in outcomes
    end = ending({str(n): outcome for n, outcome in enumerate(outcomes)})
    assert end is (ReloadEvent.REVERTED if undone else ReloadEvent.KEPT)


@given(st.data())
def test_a_generation_ends_and_stays_ended(data: st.DataObject) -> None:
    state = GenerationState.STAGING
    seen = [state]
    while state not in FINAL and len(seen) < 20:
        following = sorted({new.value for old, new in TRANSITIONS if old is state})
        state = generations.change(state, GenerationState(data.draw(st.sampled_from(following))))
        seen.append(state)
    if GenerationState.ACTIVE in seen:
        assert seen[:4] == [
            GenerationState.STAGING,
            GenerationState.WARMING,
            GenerationState.READY,
            GenerationState.ACTIVE,
        ]


def test_every_state_can_be_reached_and_none_follows_the_end() -> None:
    assert {new for _, new in TRANSITIONS} == set(GenerationState) - {GenerationState.STAGING}
    assert not FINAL & {old for old, _ in TRANSITIONS}
