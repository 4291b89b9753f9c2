"""The steps of a reload, and the life of a generation: only what the tables allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.supervision import generation_state as generations
from khive_supervisor.supervision.generation_state import FINAL, TRANSITIONS, Generation
from khive_supervisor.supervision.reload_state import (
    RESTING,
    STEPS,
    Coordinator,
    Event,
    Outcome,
    Phase,
    after,
    ending,
    next_request,
)


def allowed(now: Coordinator) -> list[Event]:
    return sorted({event for phase, event in STEPS if phase is now.phase}, key=lambda e: e.value)


@given(st.data())
def test_any_course_serves_the_newest_request_last(data: st.DataObject) -> None:
    now = Coordinator(digest="0")
    served: list[int] = []
    for _ in range(data.draw(st.integers(1, 40))):
        event = data.draw(st.sampled_from([Event.ASKED, *allowed(now)]))
        before = now
        now = after(now, event, digest=data.draw(st.sampled_from("0123")))
        assert now.generation - before.generation in (0, 1)
        assert (now.generation > before.generation) == (now.phase is Phase.STAGING != before.phase)
        if before.busy and event is Event.ASKED:
            assert (now.phase, now.current) == (before.phase, before.current)
            assert now.waiting == now.asked
        now = next_request(now)
        if now.current not in served:
            served.append(now.current)
    while now.busy:
        event = next(e for e in allowed(now) if e is not Event.ASKED)
        now = next_request(after(now, event, digest="9"))
    assert now.waiting == 0
    assert now.current == now.asked or now.asked == 0
    assert served == sorted(served)


def test_a_course_without_trouble() -> None:
    now = after(Coordinator(digest="a"), Event.ASKED)
    now = after(now, Event.VALID, digest="b")
    assert (now.phase, now.generation, now.digest) == (Phase.STAGING, 2, "b")
    for event in (Event.STAGED, Event.SWITCHED, Event.DRAINED, Event.KEPT):
        now = after(now, event)
    assert (now.phase, now.busy) == (Phase.DONE, False)


def test_what_is_in_force_already_is_no_change() -> None:
    now = after(after(Coordinator(digest="a"), Event.ASKED), Event.VALID, digest="a")
    assert (now.phase, now.generation) == (Phase.DONE, 1)


def test_requests_collapse_to_the_newest() -> None:
    now = Coordinator()
    for _ in range(5):
        now = after(now, Event.ASKED)
    assert (now.current, now.waiting) == (1, 5)
    now = next_request(after(now, Event.BROKEN))
    assert (now.phase, now.current, now.waiting) == (Phase.PARSING, 5, 0)


def test_what_cannot_happen_fails_loudly() -> None:
    with pytest.raises(AssertionError, match="impossible reload step idle: staged"):
        after(Coordinator(), Event.STAGED)
    with pytest.raises(AssertionError, match="impossible transition retired -> active"):
        generations.change(Generation.RETIRED, Generation.ACTIVE)


def test_a_reload_can_end_in_every_phase_of_work() -> None:
    for phase in set(Phase) - RESTING:
        assert STEPS[phase, Event.BROKEN] is Phase.FAILED


@given(st.lists(st.sampled_from(list(Outcome)), max_size=5))
def test_a_reload_is_kept_unless_a_role_was_not(outcomes: list[Outcome]) -> None:
    undone = Outcome.ROLLED_BACK in outcomes or Outcome.FAILED in outcomes
    end = ending({str(n): outcome for n, outcome in enumerate(outcomes)})
    assert end is (Event.REVERTED if undone else Event.KEPT)


@given(st.data())
def test_a_generation_ends_and_stays_ended(data: st.DataObject) -> None:
    state = Generation.STAGING
    seen = [state]
    while state not in FINAL and len(seen) < 20:
        following = sorted({new.value for old, new in TRANSITIONS if old is state})
        state = generations.change(state, Generation(data.draw(st.sampled_from(following))))
        seen.append(state)
    if Generation.ACTIVE in seen:
        assert seen[:4] == [
            Generation.STAGING, Generation.WARMING, Generation.READY, Generation.ACTIVE,
        ]  # fmt: skip


def test_every_state_can_be_reached_and_none_follows_the_end() -> None:
    assert {new for _, new in TRANSITIONS} == set(Generation) - {Generation.STAGING}
    assert not FINAL & {old for old, _ in TRANSITIONS}
