"""Tasks, the pure part: states, leases, bounds, records, selection."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.routing.model import Unavailable
from khive_supervisor.tasks import bounds, lease, records, selection, states
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    ENDED,
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
    Claimant,
    NewTask,
    Outcome,
    QueueDepth,
    Record,
    RoleRow,
    Task,
    Usage,
)

NOW = Moment("boot", 100.0)
TODAY = 20_000


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


def record(
    executions: int,
    successes: int,
    *,
    role: str = "a",
    kind: str = "t",
    digest: str = "d",
    day: int = TODAY,
) -> Record:
    return Record(role, kind, digest, day, executions, successes)


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


# --- selection ------------------------------------------------------------------------------------


def role(name: str, *, digest: str = "d", workers: int = 1, in_service: bool = True) -> RoleRow:
    return RoleRow(name, ("t",), digest, workers=workers, in_service=in_service)


def picks(
    roles: list[RoleRow],
    known: list[Record],
    depths: dict[str, QueueDepth] | None = None,
    times: int = 400,
) -> dict[str, int]:
    rng = Random(7)
    counted = dict.fromkeys([one.role for one in roles], 0)
    for _ in range(times):
        found = selection.select(roles, "t", known, depths or {}, TODAY, rng)
        assert found is not None
        counted[found.role] += 1
    return counted


def test_the_better_role_is_picked_mostly() -> None:
    known = [record(40, 36, role="a"), record(40, 8, role="b")]
    assert picks([role("a"), role("b")], known)["a"] > 395


def test_a_role_of_which_nothing_is_known_gets_tried() -> None:
    known = [record(40, 28, role="a")]
    counted = picks([role("a"), role("new")], known)
    assert 40 < counted["new"] < 200


def test_a_changed_digest_lets_others_try() -> None:
    known = [record(10, 9, role="a"), record(10, 6, role="b")]
    before = picks([role("a"), role("b")], known)
    after = picks([role("a", digest="new"), role("b")], known)
    assert after["b"] > before["b"]


def test_what_waits_for_each_worker_speaks_against_a_role() -> None:
    known = [record(40, 36, role="a"), record(40, 36, role="b")]
    depths = {"a": QueueDepth(3, 1)}
    assert picks([role("a"), role("b")], known, depths)["b"] == 400
    counted = picks([role("a", workers=400), role("b")], known, depths)
    assert 100 < counted["a"] < 300


def test_roles_in_service_come_first() -> None:
    roles = [role("a", in_service=False), role("b"), RoleRow("c", ("other",))]
    assert [one.role for one in selection.candidates(roles, "t")] == ["b"]
    assert [one.role for one in selection.candidates(roles[:1], "t")] == ["a"]
    assert selection.select(roles, "unknown", [], {}, TODAY, Random(1)) is None


def test_a_selection_explains_itself() -> None:
    known = [record(40, 36, role="a")]
    found = selection.select(
        [role("a"), role("b")], "t", known, {"a": QueueDepth(1, 1)}, TODAY, Random(3)
    )
    assert found is not None
    told = found.explained()
    assert told["selected"] == found.role == told["candidates"][0]["role"]
    by_role = {one["role"]: one for one in told["candidates"]}
    assert set(by_role["a"]) == {"role", "mean", "interval", "n", "load", "draw", "score"}
    assert by_role["a"]["n"] == 42.0
    assert by_role["a"]["load"] == 2.0
    assert by_role["a"]["score"] == pytest.approx(by_role["a"]["draw"] / 3.0, abs=1e-4)
    scores = [one["score"] for one in told["candidates"]]
    assert scores == sorted(scores, reverse=True)
    assert told["because"].startswith("the highest score")
    assert "skipped" not in told


@pytest.mark.parametrize(
    ("exceeded", "candidates", "skipped"),
    [
        ({}, {"a", "b"}, []),
        ({"a": "all is spent"}, {"b"}, ["a"]),
        ({"other": "all is spent"}, {"a", "b"}, []),
        # Where every role's budget is exceeded, none is passed over: the task has to wait anyway.
        ({"a": "all is spent", "b": "all is spent"}, {"a", "b"}, []),
    ],
)
def test_a_role_that_may_spend_nothing_is_passed_over(
    exceeded: dict[str, str], candidates: set[str], skipped: list[str]
) -> None:
    found = selection.select([role("a"), role("b")], "t", [], {}, TODAY, Random(3), exceeded)
    assert found is not None
    assert {score.role for score in found.scores} == candidates
    told = found.explained().get("skipped", [])
    assert told == [{"role": name, "because": "all is spent"} for name in skipped]


@pytest.mark.parametrize(
    ("queued", "leased", "workers", "expected"),
    [(0, 0, 1, 0.0), (3, 1, 2, 2.0), (2, 0, 0, 2.0), (1, 1, 4, 0.5)],
)
def test_a_load_is_tasks_for_each_worker_and_without_one_for_one(
    queued: int, leased: int, workers: int, expected: float
) -> None:
    assert selection.load(role("a", workers=workers), QueueDepth(queued, leased)) == expected


def test_equal_scores_go_by_name() -> None:
    class Even(Random):
        """Draws the same for everybody."""

        def betavariate(self, alpha: float, beta: float) -> float:
            return 0.5

    found = selection.select([role("b"), role("a")], "t", [], {}, TODAY, Even())
    assert found is not None
    assert [score.role for score in found.scores] == ["a", "b"]


def test_only_its_own_record_speaks_for_a_role() -> None:
    known = [record(40, 38, role="b"), record(40, 2, role="a")]
    found = selection.select([role("a"), role("b")], "t", known, {}, TODAY, Random(3))
    assert found is not None
    means = {score.role: score.belief.mean for score in found.scores}
    assert means["a"] < 0.2 < 0.8 < means["b"]


@pytest.mark.parametrize(("age", "counts"), [(0, True), (6, True), (7, False), (400, False)])
def test_recent_is_the_last_seven_days(age: int, *, counts: bool) -> None:
    found = records.summary([record(4, 3, day=TODAY - age)], "t", "d", TODAY)
    assert found.recent == (0.75 if counts else None)
    assert (found.executions, found.successes) == (4, 3)


def test_a_day_begins_at_midnight_in_utc() -> None:
    assert [records.day_of(wall) for wall in (0.0, 86_399.9, 86_400.0, -0.1)] == [0, 0, 1, -1]


def test_ratings_that_take_more_than_there_is_leave_nothing() -> None:
    odd = Record("a", "t", "d", TODAY, 2, 0, 0.0, 2)
    found = records.evidence([odd], "d", TODAY)
    assert (found.good, found.bad) == (0.0, 4.0)


def test_a_lease_holds_for_some_renewals() -> None:
    assert lease.LEASE >= 3 * lease.RENEW_EVERY > 0


@pytest.mark.parametrize(
    ("state", "ended"), [(state, state not in (WAITING, QUEUED, LEASED)) for state in STATES]
)
def test_what_has_ended_is_what_only_a_retry_leads_out_of(state: str, *, ended: bool) -> None:
    assert (state in ENDED) == ended
    task = object.__new__(Task)
    object.__setattr__(task, "state", state)
    assert task.ended == ended
    assert (state in (DONE, *states.RETRIABLE)) == ended


def test_what_nobody_says_of_a_task_or_a_role_is_the_least() -> None:
    task, role_row = NewTask("a"), RoleRow("a")
    assert (task.priority, task.attempts_max, task.deadline) == (0, 3, None)
    assert (role_row.workers, role_row.attempts, role_row.priority) == (1, 3, 0)
    assert (role_row.generation, role_row.in_service) == (1, True)
    assert (Usage(), QueueDepth(), Claimant("a", "w").generation) == (
        Usage(0, 0),
        QueueDepth(0, 0),
        0,
    )
    assert (Outcome(DONE).latency, Outcome(DONE).final) == (0.0, False)
    empty = Record("a", "t", "d", TODAY, 1, 1)
    assert (empty.quality_sum, empty.qualities, empty.latency_sum) == (0.0, 0, 0.0)


def test_what_tasks_carry_is_bounded_as_the_documents_say() -> None:
    assert PAYLOAD_LIMIT == RESULT_LIMIT == 1024 * 1024
    assert (LOG_LIMIT, ERROR_LIMIT, PROGRESS_LIMIT) == (16 * 1024, 4000, 500)


@pytest.mark.parametrize("begun", [False, True])
def test_an_attempt_that_could_not_be_made_counts_only_if_it_may_have_changed_something(
    *, begun: bool
) -> None:
    outcome = Outcome(FAILED, unavailable=Unavailable("limit", begun=begun))
    after = states.after_outcome(outcome, 1, 3, NOW, cancel_asked=False)
    assert after == (
        states.after_failure(1, 3, NOW) if begun else states.After(QUEUED, returned=True)
    )
    assert not states.After(QUEUED).returned
    assert states.after_outcome(outcome, 1, 3, NOW, cancel_asked=True).state == CANCELLED


def test_a_wait_has_a_bound_however_many_attempts_have_failed() -> None:
    waits = [states.backoff(attempts) for attempts in range(1, 200)]
    assert waits == sorted(waits)
    assert waits[-1] == states.BACKOFF_MAX


def test_a_worker_of_a_team_has_its_node_in_its_name() -> None:
    assert records.named_here("coder-1", "") == "coder-1"
    assert records.named_here("coder-1", "ada") == "coder-1@ada"
    assert records.node_of("coder-1@ada:77") == "ada"
    assert records.node_of("coder@1@ada") == "ada"
    assert records.node_of("coder-1") == ""
    assert lease.LEASE == 3 * lease.RENEW_EVERY
