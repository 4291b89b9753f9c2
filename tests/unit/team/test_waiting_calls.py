"""Which calls wait, for how long, and what a search finds among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.packs import loading
from khive_supervisor.team.waiting import (
    MOST_ATTEMPTS,
    CallerData,
    CallFate,
    CallTime,
    NewWaitingCall,
    Standing,
    WaitingCall,
    fate,
    gist,
    matching,
    together,
    told,
    within,
)

CALLER = CallerData(request={}, client=["", ""], project_name="")
seconds = st.floats(0, 1e9, allow_nan=False)


def waiting(number: int, content: str, namespace: str = "default") -> WaitingCall:
    said = NewWaitingCall(
        CallTime(0, "", 0), "memory.remember", namespace, {"content": content}, CALLER
    )
    return WaitingCall(number, said)


@given(st.integers(1, 2 * MOST_ATTEMPTS), st.booleans(), st.booleans())
def test_a_call_is_tried_again_for_ever_only_while_the_server_is_away(
    attempts: int, retryable: bool, away: bool
) -> None:
    found = fate(attempts, retryable=retryable, away=away)
    assert found is not CallFate.DONE
    assert (found is CallFate.LATER) == (away or (retryable and attempts < MOST_ATTEMPTS))


@given(seconds, seconds, seconds, seconds, st.booleans())
def test_a_call_never_counts_as_made_after_it_is_applied(
    wall: float, made: float, now: float, later: float, same: bool
) -> None:
    time = CallTime(wall, "boot", made)
    found = time.seen_at(now, "boot" if same else "another", made + later)
    assert found <= now
    if same:
        assert abs(now - found - later) < 1e-3, "whoever set the clock has no say"
    else:
        assert found == min(wall, now)


@given(st.lists(st.sampled_from(["owl night", "owl", "ferry noon", "cat"]), max_size=8))
def test_what_fits_has_half_of_the_words_and_the_best_is_first(texts: list[str]) -> None:
    calls = [waiting(number, text) for number, text in enumerate(texts)]
    found = matching(calls, ["owl", "night"])
    assert {one.said.arguments["content"] for one in found} <= {"owl night", "owl"}
    assert len(found) == sum("owl" in text for text in texts)
    whole = ["night" in str(one.said.arguments["content"]) for one in found]
    assert whole == sorted(whole, reverse=True)
    assert len(matching(calls, [])) == len(calls)


def test_who_sees_some_namespaces_sees_their_calls_alone() -> None:
    calls = [waiting(1, "a", "x"), waiting(2, "b", "y")]
    assert [one.number for one in within(calls, ("x",))] == [1]
    assert [one.number for one in within(calls, None)] == [1, 2]
    assert within(calls, ()) == []


def test_a_call_is_told_of_in_a_few_words() -> None:
    assert gist({"content": "x" * 200}).endswith("...")
    assert gist({"ids": ["m1", "m2"]}) == "m1, m2"
    assert gist({"target": "m1", "signal": "useful"}) == "target=m1 signal=useful"
    assert "write 1, since the team's server is away" in told(1, Standing(1, 0.0))
    assert "write 2, behind an earlier one" in told(2, Standing(2, 0.0))
    assert "write 7, behind 4 earlier ones" in told(7, Standing(5, 0.0))


def test_only_what_sessions_write_of_memories_may_wait_and_all_of_it_can_be_undone() -> None:
    found = {verb.name for verb in loading.load() if verb.may_wait}
    assert found == {
        "batch.run", "brain.feedback", "graph.link", "graph.unlink", "memory.forget",
        "memory.pin", "memory.remember", "memory.restore", "memory.supersede",
    }  # fmt: skip
    for verb in loading.load():
        if verb.may_wait:
            assert verb.in_batch or verb.name == "batch.run"
            assert not verb.read_only
            assert not verb.shared
            assert not verb.audience or verb.audience.value == "agent"


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 12))
def test_a_batch_counts_as_the_writes_that_it_has(sizes: list[int], most: int) -> None:
    calls = [
        WaitingCall(
            number,
            NewWaitingCall(CallTime(0, "", 0), "batch.run", "", {"calls": [{}] * size}, CALLER),
        )
        for number, size in enumerate(sizes)
    ]
    found = together(calls, most)
    assert list(found) == calls[: len(found)]
    assert len(found) == 1 or sum(sizes[: len(found)]) <= most
    assert len(found) == len(calls) or sum(sizes[: len(found) + 1]) > most, "no fewer than fit"
