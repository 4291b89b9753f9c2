"""Which role is given a task that names only its type."""

from __future__ import annotations

from random import Random

import pytest
from task_records import TODAY, record

from khive_supervisor.routing.model import Unavailable
from khive_supervisor.tasks import lease, records, selection, states
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
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
