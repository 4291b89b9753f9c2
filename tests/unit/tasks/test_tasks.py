"""Tasks, the pure part: states, leases, bounds, records, selection."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_records import TODAY, record

from khive_supervisor.errors import InvalidInput
from khive_supervisor.tasks import bounds, lease, records, states
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    ERROR_LIMIT,
    FAILED,
    LEASED,
    LOG_LIMIT,
    PAYLOAD_LIMIT,
    PROGRESS_LIMIT,
    QUEUED,
    RESULT_LIMIT,
    STATES,
    WAITING,
    Outcome,
    Record,
    RoleRow,
)

NOW = Moment("boot", 100.0)


# --- leases ---------------------------------------------------------------------------------------


def test_a_lease_is_good_until_its_time_in_its_own_boot() -> None:
    until = NOW.after(30.0)
    assert lease.good(until, NOW)
    assert lease.good(until, Moment("boot", 129.999))
    assert not lease.good(until, Moment("boot", 130.0))
    assert not lease.good(until, Moment("another boot", 0.0))


def test_the_moment_is_of_this_boot_and_moves_forward() -> None:
    first, second = lease.now(), lease.now()
    assert first.boot == second.boot != ""
    assert 0 < first.at <= second.at


# --- states ---------------------------------------------------------------------------------------


def test_every_state_has_its_ways_and_only_done_has_none() -> None:
    assert set(states.TRANSITIONS) == set(STATES)
    assert [state for state in STATES if not states.TRANSITIONS[state]] == [DONE]
    assert set(states.RETRIABLE) == {FAILED, CANCELLED, DEAD}


@pytest.mark.parametrize(
    ("state", "following"),
    [
        (QUEUED, {LEASED, CANCELLED, FAILED}),
        (LEASED, {DONE, FAILED, CANCELLED, DEAD, QUEUED}),
        (DONE, set()),
        (WAITING, {QUEUED, CANCELLED, FAILED, DONE}),
        (FAILED, {QUEUED, WAITING}),
        (CANCELLED, {QUEUED, WAITING}),
        (DEAD, {QUEUED, WAITING}),
    ],
)
def test_what_may_follow_each_state(state: str, following: set[str]) -> None:
    assert states.TRANSITIONS[state] == following


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from((DONE, FAILED, CANCELLED)),
    st.booleans(),
    st.booleans(),
)
def test_what_follows_an_attempt_is_in_the_table(
    attempts: int, most: int, state: str, final: bool, asked: bool
) -> None:
    outcome = Outcome(state, final=final)
    after = states.after_outcome(outcome, attempts, most, NOW, cancel_asked=asked)
    assert after.state in states.TRANSITIONS[LEASED]
    assert (after.not_before is not None) == (after.state == QUEUED)
    released = states.after_release(attempts, most, died=final, cancel_asked=asked)
    assert released.state in states.TRANSITIONS[LEASED]
    assert released.not_before is None


def test_a_failure_waits_longer_each_time_and_ends_with_the_last_attempt() -> None:
    waits = [states.after_failure(n, 10, NOW).not_before for n in range(1, 10)]
    assert [wait.at - NOW.at for wait in waits if wait] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert states.after_failure(10, 10, NOW) == states.After(FAILED)
    assert states.backoff(10_000) == states.BACKOFF_MAX


def test_an_end_without_an_outcome() -> None:
    assert states.after_release(1, 3, died=True, cancel_asked=False).state == QUEUED
    assert states.after_release(3, 3, died=True, cancel_asked=False).state == DEAD
    assert states.after_release(3, 3, died=False, cancel_asked=False).state == QUEUED
    assert states.after_release(3, 3, died=True, cancel_asked=True).state == CANCELLED


def test_a_final_failure_is_not_tried_again() -> None:
    final = states.after_outcome(Outcome(FAILED, final=True), 1, 3, NOW, cancel_asked=False)
    assert final == states.After(FAILED)
    again = states.after_outcome(Outcome(FAILED), 1, 3, NOW, cancel_asked=False)
    assert again == states.After(QUEUED, NOW.after(1.0))


def test_a_role_that_was_taken_out_of_service_is_drained_until_it_is_put_back() -> None:
    assert RoleRow("a", digest="", in_service=False).drained
    assert not RoleRow("a", digest="d", in_service=False).drained  # given up
    assert not RoleRow("a", digest="", in_service=True).drained


def test_a_failure_of_a_task_that_was_to_stop_is_the_stop() -> None:
    after = states.after_outcome(Outcome(FAILED), 1, 3, NOW, cancel_asked=True)
    assert after.state == CANCELLED
    assert states.after_outcome(Outcome(DONE), 1, 3, NOW, cancel_asked=True).state == DONE


# --- bounds ---------------------------------------------------------------------------------------


def test_a_payload_is_the_same_text_for_equal_values() -> None:
    assert bounds.payload_text({"b": 1, "a": [None]}) == '{"a":[null],"b":1}'


@pytest.mark.parametrize("payload", [float("nan"), {1, 2}, "x" * PAYLOAD_LIMIT])
def test_a_payload_that_cannot_be_stored_is_refused(payload: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        bounds.payload_text(payload)
    assert caught.value.hint


def test_a_large_result_is_cut_and_says_so() -> None:
    result = "\\\"'" * RESULT_LIMIT
    kept = bounds.result_text(result)
    assert len(kept) <= RESULT_LIMIT
    told = json.loads(kept)
    assert told["cut"] is True
    assert str(RESULT_LIMIT) in told["note"]
    assert json.dumps(result).startswith(told["beginning"])
    whole = "x" * (RESULT_LIMIT - 2)
    assert json.loads(bounds.result_text(whole)) == whole


def test_the_end_of_a_log_is_kept() -> None:
    assert bounds.log_tail(None) is None
    assert bounds.log_tail("short") == "short"
    cut = bounds.log_tail("ä" * LOG_LIMIT + "end")
    assert cut is not None
    first, rest = cut.split("\n")
    assert first == f"[{LOG_LIMIT + 3} bytes before this were cut]"
    assert rest.endswith("end")
    assert len(rest.encode()) <= LOG_LIMIT


@given(st.text(st.characters(), max_size=50))
def test_any_text_can_be_stored(text: str) -> None:
    for cleaned in (bounds.error_text(text), bounds.progress_text(text), bounds.log_tail(text)):
        assert cleaned is not None
        cleaned.encode()
    json.loads(bounds.result_text(text))


@pytest.mark.parametrize("over", [0, 1])
def test_a_payload_may_be_as_large_as_its_limit(over: int) -> None:
    payload = "x" * (PAYLOAD_LIMIT - len('""') + over)
    if not over:
        assert len(bounds.payload_text(payload)) == PAYLOAD_LIMIT
        return
    with pytest.raises(InvalidInput, match=f"has {PAYLOAD_LIMIT + 1} bytes as JSON"):
        bounds.payload_text(payload)


@pytest.mark.parametrize("over", [0, 1])
def test_a_result_is_kept_whole_up_to_its_limit(over: int) -> None:
    result = "x" * (RESULT_LIMIT - len('""') + over)
    kept = json.loads(bounds.result_text(result))
    assert (kept == result) == (not over)
    if over:
        # Half of what may be kept, less what surrounds it: quotes take twice the room.
        assert len(kept["beginning"]) == RESULT_LIMIT // 2 - 200
        assert f"had {RESULT_LIMIT + 1} bytes" in kept["note"]


def test_what_json_does_not_have_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidInput, match="The result is not JSON") as caught:
        bounds.result_text({"a": object()})
    assert "finite numbers" in caught.value.hint
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(InvalidInput, match="The payload is not JSON"):
        bounds.payload_text(nested)


@pytest.mark.parametrize(
    ("shorten", "limit"),
    [(bounds.error_text, ERROR_LIMIT), (bounds.progress_text, PROGRESS_LIMIT)],
)
def test_a_text_is_kept_whole_up_to_its_limit(
    shorten: Callable[[str], str | None], limit: int
) -> None:
    assert shorten("x" * limit) == "x" * limit
    assert shorten("x" * (limit + 1)) == f"{'x' * limit}... [cut, {limit + 1} characters]"


def test_no_error_is_none() -> None:
    assert bounds.error_text(None) is None


def test_a_log_is_kept_whole_up_to_its_limit() -> None:
    assert bounds.log_tail("x" * LOG_LIMIT) == "x" * LOG_LIMIT
    assert bounds.log_tail("y" + "x" * LOG_LIMIT) == (
        f"[1 bytes before this were cut]\n{'x' * LOG_LIMIT}"
    )


# --- records --------------------------------------------------------------------------------------


def test_an_execution_counts_half_after_a_week_without_a_step() -> None:
    weights = [records.weight(record(1, 1, day=TODAY - age), "d", TODAY) for age in range(60)]
    assert weights[0] == 1.0
    assert weights[7] == pytest.approx(0.5)
    assert weights[14] == pytest.approx(0.25)
    steps = {round(later / earlier, 9) for earlier, later in itertools.pairwise(weights)}
    assert len(steps) == 1
    assert records.weight(record(1, 1, day=TODAY + 400), "d", TODAY) == 1.0


def test_another_handler_counts_a_quarter_and_so_is_believed_less() -> None:
    known = [record(80, 72)]
    same = records.expertise(known, "t", "d", TODAY)
    changed = records.expertise(known, "t", "new", TODAY)
    found = records.evidence(known, "new", TODAY)
    assert found.good + found.bad == pytest.approx(20.0)
    assert changed.ess < same.ess
    width = [high - low for low, high in (same.interval(), changed.interval())]
    assert width[1] > 1.5 * width[0]


def test_an_unknown_type_is_believed_to_go_as_the_others_do() -> None:
    good = records.expertise([record(100, 95, kind="other")], "t", "d", TODAY)
    bad = records.expertise([record(100, 5, kind="other")], "t", "d", TODAY)
    nothing = records.expertise([], "t", "d", TODAY)
    assert bad.mean < nothing.mean == 0.5 < good.mean
    assert good.ess == bad.ess == nothing.ess == records.PRIOR_STRENGTH
    assert (
        records.expertise([record(100, 95, kind="other"), record(20, 2)], "t", "d", TODAY).mean
        < 0.2
    )


def test_a_rating_takes_from_what_a_success_counts() -> None:
    rated = Record("a", "t", "d", TODAY, 10, 10, 2.5, 5)
    assert records.evidence([rated], "d", TODAY) == records.Evidence(7.5, 2.5)


def test_a_summary_counts_plainly() -> None:
    known = [
        Record("a", "t", "d", TODAY, 4, 3, 1.5, 2, 8.0),
        Record("a", "t", "old", TODAY - 30, 6, 0, 0.0, 0, 12.0),
        Record("a", "other", "d", TODAY, 9, 9),
    ]
    found = records.summary(known, "t", "d", TODAY)
    assert (found.executions, found.successes) == (10, 3)
    assert (found.recent, found.quality, found.latency) == (0.75, 0.75, 2.0)
    empty = records.summary([], "t", "d", TODAY)
    assert (empty.recent, empty.quality, empty.latency) == (None, None, None)
