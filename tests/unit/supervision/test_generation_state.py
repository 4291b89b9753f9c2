"""The life of a generation: only what the table allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.supervision.roles import lifecycle as generations
from khive_supervisor.supervision.roles.lifecycle import FINAL, TRANSITIONS, GenerationState


def test_what_cannot_happen_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="impossible transition retired -> active"):
        generations.change(GenerationState.RETIRED, GenerationState.ACTIVE)


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
