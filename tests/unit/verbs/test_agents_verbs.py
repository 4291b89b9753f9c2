"""The agents pack: what its verbs answer, and what they refuse."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import BudgetExceeded, Denied, InvalidInput, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.packs.agents import task_forms
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, FAILED, Claim, Claimant, Outcome, RoleRow, Usage
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
ROLES = [
    RoleRow("reviewer", ("review",), "d1", workers=2, attempts=2),
    RoleRow("tester", ("review", "test"), "d2", priority=60),
    RoleRow("writer", ("write",), in_service=False),
    RoleRow("anything"),
]


def make(path: Path, **session: Any) -> Context:
    config = from_dict(
        {
            "store": {"path": str(path / "khive.db")},
            "session": session.pop("settings", {}),
        }
    )
    info = SessionInfo(id="s", actor="ada", **session)
    return Context(config, info, socket_path=None, make_embedder=lambda: None)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = make(tmp_path)
    made.store.roles.set(ROLES)
    yield made
    made.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    answer = REGISTRY.call(context, f"agents.{verb}", args)
    Draft202012Validator(REGISTRY.get(f"agents.{verb}").output or {}).validate(answer)
    return answer


def take(context: Context, role: str = "reviewer") -> Claim:
    claim = context.store.tasks.claim(Claimant(role, "w", 1, "d1"), lease.now())
    assert claim is not None
    return claim


def finish(context: Context, claim: Claim, outcome: Outcome) -> None:
    assert context.store.tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted


# --- assign ---------------------------------------------------------------------------------------


def test_a_task_for_a_role(context: Context) -> None:
    heard: list[dict[str, Any]] = []
    context.hint = heard.append
    answer = call(context, "assign", role="reviewer", payload={"pr": 7}, priority=3, deadline="30m")
    assert answer == {
        "task": "t1",
        "state": "queued",
        "role": "reviewer",
        "created": True,
        "why": {"named": "by the caller"},
    }
    assert heard == [{"hint": "tasks", "role": "reviewer"}]
    task = context.store.tasks.find(1)
    assert task is not None
    assert (task.payload, task.priority, task.task_type) == ({"pr": 7}, 3, "review")
    assert (task.attempts_max, task.actor, task.namespace, task.session) == (
        2,
        "ada",
        "default",
        "s",
    )
    assert task.deadline is not None
    assert task.deadline - task.created_at == pytest.approx(1800, abs=60)


def test_a_role_says_how_urgent_its_tasks_are_unless_the_caller_does(context: Context) -> None:
    for given, expected in (({}, 60), ({"priority": 0}, 0), ({"priority": -5}, -5)):
        task = call(context, "assign", role="tester", task_type="test", **given)["task"]
        found = context.store.tasks.find(task_forms.task_id(task))
        assert found is not None
        assert found.priority == expected
    task = call(context, "assign", role="anything")["task"]
    assert "priority" not in call(context, "task", task=task)
    (role,) = call(context, "roles", role="tester")["roles"]
    assert role["priority"] == 60


def test_a_task_for_the_best_role_says_why(context: Context) -> None:
    answer = call(context, "assign", task_type="review")
    candidates = answer["why"]["candidates"]
    assert {one["role"] for one in candidates} == {"reviewer", "tester"}
    assert answer["role"] == answer["why"]["selected"] == candidates[0]["role"]
    assert call(context, "task", task=answer["task"])["why"] == answer["why"]


def test_a_key_repeats_its_call(context: Context) -> None:
    heard: list[dict[str, Any]] = []
    context.hint = heard.append
    first = call(context, "assign", task_type="review", payload=1, idempotency_key="k")
    again = call(context, "assign", task_type="review", payload=1, idempotency_key="k")
    assert (again["task"], again["role"], again["created"]) == (first["task"], first["role"], False)
    assert "before" in again["note"]
    assert len(heard) == 1


def test_a_role_out_of_service_accepts_and_says_so(context: Context) -> None:
    for args in ({"role": "writer"}, {"task_type": "write"}):
        answer = call(context, "assign", **args)
        assert answer["role"] == "writer"
        assert answer["note"] == (
            "writer is out of service: the task waits until it is back. "
            "`khive-supervisor resume-role writer` puts it back."
        )


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (RoleRow("reviewer", in_service=False), "`khive-supervisor resume-role reviewer` puts it"),
        (RoleRow("reviewer", digest="d", in_service=False), "`khive-supervisor status` says why."),
        (RoleRow("tester"), "There is no role reviewer now: queued tasks wait until there is."),
    ],
    ids=["drained", "given up", "gone"],
)
def test_a_queued_task_says_that_nobody_does_it(context: Context, now: RoleRow, said: str) -> None:
    call(context, "assign", role="reviewer")
    call(context, "assign", role="reviewer")
    call(context, "cancel", task="t2")
    assert "note" not in call(context, "task", task="t1")
    assert "note" not in call(context, "tasks")
    context.store.roles.set([now])
    for answer in (
        call(context, "task", task="t1"),
        call(context, "tasks"),
        call(context, "wait", task="t1", timeout=0),
        call(context, "retry", task="t2"),
    ):
        assert answer["note"].count("queued tasks wait until") == 1
        assert said in answer["note"]
    context.store.roles.set(ROLES)
    take(context)
    context.store.roles.set([now])
    assert "note" not in call(context, "task", task="t1")  # somebody is at it


@pytest.mark.parametrize(
    ("args", "kind", "said"),
    [
        ({}, InvalidInput, "role or a task_type"),
        ({"role": "cook"}, NotFound, "reviewer (review); tester (review, test); writer"),
        ({"task_type": "cook"}, NotFound, "tester (review, test)"),
        ({"role": "tester"}, InvalidInput, "needs a task_type. It declares: review, test"),
        ({"role": "reviewer", "task_type": "test"}, InvalidInput, "does not declare 'test'"),
        ({"role": "reviewer", "deadline": "soon"}, InvalidInput, "neither a time"),
        ({"role": "reviewer", "deadline": "2001-01-01"}, InvalidInput, "has passed"),
        ({"role": "reviewer", "payload": "x" * 1_048_577}, InvalidInput, "a path|its path"),
        ({"role": "reviewer", "priority": 1001}, InvalidInput, "1000"),
    ],
)
def test_what_is_refused(
    context: Context, args: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        call(context, "assign", **args)
    assert any(part in str(caught.value) for part in said.split("|"))
    assert call(context, "tasks")["tasks"] == []


def test_without_roles_it_says_so(tmp_path: Path) -> None:
    bare = make(tmp_path)
    with pytest.raises(NotFound, match="No roles are configured"):
        call(bare, "assign", role="reviewer")
    bare.close()


# --- looking --------------------------------------------------------------------------------------


def test_a_task_with_everything(context: Context) -> None:
    call(context, "assign", role="reviewer", payload=[1])
    finish(context, take(context), Outcome(DONE, {"ok": True}, log_tail="the log"))
    shown = call(context, "task", task="t1")
    assert (shown["state"], shown["payload"], shown["result"]) == ("done", [1], {"ok": True})
    assert (shown["attempts"], shown["log_tail"]) == ("1 of 2", "the log")
    assert [event["what"] for event in shown["events"]] == ["enqueued", "leased", "done"]
    for wrong, kind in (("12", InvalidInput), ("m1", InvalidInput), ("t99", NotFound)):
        with pytest.raises(kind):
            call(context, "task", task=wrong)


def test_a_listing_goes_on_where_it_ended(context: Context) -> None:
    for _ in range(3):
        call(context, "assign", role="reviewer")
    call(context, "assign", role="anything")
    first = call(context, "tasks", role="reviewer", limit=2)
    assert [one["task"] for one in first["tasks"]] == ["t3", "t2"]
    assert "before=t2" in first["next"]
    rest = call(context, "tasks", role="reviewer", limit=2, before="t2")
    assert [one["task"] for one in rest["tasks"]] == ["t1"]
    assert "next" not in rest
    assert call(context, "tasks", state="done")["tasks"] == []


def test_tasks_of_other_namespaces_stay_theirs(context: Context, tmp_path: Path) -> None:
    call(context, "assign", role="reviewer")
    other = make(tmp_path, settings={"namespace": "mine", "allowed_namespaces": ["mine"]})
    assert call(other, "tasks")["tasks"] == []
    for verb in ("task", "cancel", "retry", "wait"):
        with pytest.raises(Denied):
            call(other, verb, task="t1")
    assert call(other, "follow", after=0, timeout=0)["events"] == []
    other.close()


def test_roles_with_what_waits_and_how_they_do(context: Context) -> None:
    for quality in (1.0, None):
        call(context, "assign", role="reviewer")
        finish(context, take(context), Outcome(DONE, latency=2.0, quality=quality))
    for _ in range(2):
        call(context, "assign", role="reviewer")
    finish(context, take(context), Outcome(FAILED, latency=5.0, final=True))
    found = {role["role"]: role for role in call(context, "roles")["roles"]}
    assert list(found) == ["anything", "reviewer", "tester", "writer"]
    reviewer = found["reviewer"]
    assert (reviewer["queued"], reviewer["leased"], reviewer["in_service"]) == (1, 0, True)
    (known,) = reviewer["records"]
    assert (known["executions"], known["successes"], known["success"]) == (3, 2, 0.6)
    assert known["interval"][0] < 0.6 < known["interval"][1]
    assert (known["recent_success"], known["quality"]) == (0.6667, 1.0)
    assert known["latency_seconds"] == 3.0
    assert [one["task_type"] for one in found["tester"]["records"]] == ["review", "test"]
    assert [role["role"] for role in call(context, "roles", role="writer")["roles"]] == ["writer"]


# --- changing -------------------------------------------------------------------------------------


def test_a_budget_is_shown_with_what_is_left_of_it(context: Context) -> None:
    context.store.budgets.set_limits(
        {"reviewer": BudgetLimits(2_000_000, None, reserve=500_000, fallback=("x", "y"))}
    )
    for _ in range(2):
        call(context, "assign", role="reviewer")
    finish(context, take(context), Outcome(DONE, usage=Usage(1_250_000, 42)))
    take(context)
    (shown,) = call(context, "budget", role="reviewer")["roles"]
    week, month = shown.pop("windows")
    assert shown == {
        "role": "reviewer", "state": "normal", "unit": "usd", "near": 0.8, "reserved": 0.5,
        "reserve": {"amount": 0.5, "because": "configured"}, "fallback": ["x", "y"],
    }  # fmt: skip
    assert week["starts"] < week.pop("ends")
    del week["starts"]
    assert week == {
        "window": "week", "state": "normal", "usd": 1.25, "tokens": 42,
        "limit": 2.0, "spent": 1.25, "left": 0.25,
    }  # fmt: skip
    assert (month["state"], month["usd"]) == ("unlimited", 1.25)
    assert "limit" not in month
    (tester,) = call(context, "budget", role="tester")["roles"]
    assert (tester["state"], "unit" in tester) == ("unlimited", False)
    assert len(call(context, "budget")["roles"]) == len(ROLES)
    with pytest.raises(NotFound, match="no role 'cook'"):
        call(context, "budget", role="cook")


def test_a_role_that_has_spent_its_budget_is_passed_over_and_refuses(context: Context) -> None:
    key = {"task_type": "review", "idempotency_key": "k"}
    first = call(context, "assign", **key)
    context.store.budgets.set_limits({"reviewer": BudgetLimits(weekly=0)})
    assert {role["role"]: role["budget"] for role in call(context, "roles")["roles"]} == {
        "anything": "unlimited", "reviewer": "exceeded", "tester": "unlimited",
        "writer": "unlimited",
    }  # fmt: skip
    answer = call(context, "assign", task_type="review")
    assert answer["role"] == "tester"
    (skipped,) = answer["why"]["skipped"]
    assert skipped["role"] == "reviewer"
    assert "its budget is exceeded: $0.00 of $0.00 is spent this week" in skipped["because"]
    with pytest.raises(BudgetExceeded, match="Nothing was queued") as caught:
        call(context, "assign", role="reviewer")
    assert "raise the limit" in caught.value.hint
    context.store.budgets.set_limits(
        {"reviewer": BudgetLimits(weekly=0), "tester": BudgetLimits(monthly=0)}
    )
    with pytest.raises(BudgetExceeded):
        call(context, "assign", task_type="review")
    again = call(context, "assign", **key)
    assert (again["task"], again["created"]) == (first["task"], False)


def test_cancel_says_what_it_could_do(context: Context) -> None:
    for _ in range(3):
        call(context, "assign", role="reviewer")
    finish(context, take(context), Outcome(DONE))
    take(context)
    notes = [call(context, "cancel", task=f"t{number}")["note"] for number in (1, 2, 3, 3)]
    assert "has ended already (done)" in notes[0]
    assert "asked to stop" in notes[1]
    assert notes[2:] == ["It is cancelled.", "It was cancelled before."]
    assert call(context, "task", task="t2")["cancel_asked"] is True


def test_retry_and_feedback(context: Context) -> None:
    heard: list[dict[str, Any]] = []
    call(context, "assign", role="reviewer")
    finish(context, take(context), Outcome(FAILED, error="why", final=True))
    context.hint = heard.append
    assert call(context, "retry", task="t1")["state"] == "queued"
    assert heard == [{"hint": "tasks", "role": "reviewer"}]
    finish(context, take(context), Outcome(DONE))
    assert call(context, "feedback", task="t1", quality=0.5)["quality"] == 0.5
    with pytest.raises(InvalidInput, match="done"):
        call(context, "retry", task="t1")


# --- waiting --------------------------------------------------------------------------------------


def test_wait_tells_progress_and_ends_with_the_last_task(context: Context) -> None:
    call(context, "assign", role="reviewer", payload="large")
    call(context, "assign", role="reviewer")
    told: list[tuple[int, int, str]] = []
    context.progress = lambda done, total, text: told.append((done, total, text))
    claims = [take(context), take(context)]
    store = context.store.tasks
    steps = iter(
        [
            lambda: store.progress(1, claims[0].token, "halfway"),
            lambda: finish(context, claims[0], Outcome(DONE, "one")),
            lambda: finish(context, claims[1], Outcome(FAILED, error="why", final=True)),
        ]
    )
    context.pause = lambda _seconds: next(steps)()
    answer = call(context, "wait", tasks=["t1", "t2"], task="t1")
    assert answer["ended"] is True
    assert [(one["task"], one["state"]) for one in answer["tasks"]] == [
        ("t1", "done"),
        ("t2", "failed"),
    ]
    assert answer["tasks"][0]["result"] == "one"
    assert all("payload" not in one for one in answer["tasks"])
    assert told == [
        (0, 2, "t1: leased"),
        (0, 2, "t2: leased"),
        (0, 2, "t1: halfway"),
        (1, 2, "t1: done"),
        (2, 2, "t2: failed"),
    ]


def test_wait_ends_in_time_and_when_nobody_listens(context: Context) -> None:
    call(context, "assign", role="reviewer")
    answer = call(context, "wait", task="t1", timeout=0)
    assert answer["ended"] is False
    assert "again" in answer["next"]

    def leave(_seconds: float) -> None:
        raise ConnectionResetError

    context.pause = leave
    with pytest.raises(ConnectionResetError):
        call(context, "wait", task="t1")
    with pytest.raises(InvalidInput):
        call(context, "wait")
    with pytest.raises(NotFound):
        call(context, "wait", tasks=["t1", "t99"])


def test_follow_tells_what_happens_after_a_number(context: Context) -> None:
    call(context, "assign", role="anything")
    call(context, "assign", role="reviewer")
    first = call(context, "follow", after=0)
    assert [(one["task"], one["what"]) for one in first["events"]] == [
        ("t1", "enqueued"),
        ("t2", "enqueued"),
    ]
    assert call(context, "follow", timeout=0) == {"events": [], "last": first["last"]}
    context.pause = lambda _seconds: finish(context, take(context), Outcome(DONE))
    seen = call(context, "follow", after=first["last"], role="reviewer")
    assert [one["what"] for one in seen["events"]] == ["leased", "done"]
    assert seen["events"][0]["worker"] == "w"


def test_only_verbs_that_wait_say_so() -> None:
    waiting = {"agents.wait", "agents.follow", "channels.test"}
    assert {verb.name for verb in REGISTRY if verb.waits} == waiting


def test_a_deadline_is_a_time_or_a_span_from_now() -> None:
    assert task_forms.deadline("90m", 1000.0) == 1000.0 + 5400
    assert task_forms.deadline(" 2 w ", 0.0) == 14 * 86_400
    assert task_forms.deadline("2001-01-01", 0.0) == 978_307_200.0


def test_the_default_pause_is_one(context: Context) -> None:
    """A context that nobody has given another one waits, and ends with the task."""
    call(context, "assign", role="reviewer")
    claim = take(context)
    timer = threading.Timer(0.0, lambda: finish(context, claim, Outcome(DONE)))
    timer.start()
    assert call(context, "wait", task="t1")["ended"] is True
    timer.join()


def test_a_task_knows_the_directory_that_it_was_assigned_from(
    context: Context, tmp_path: Path
) -> None:
    number = call(context, "assign", role=ROLES[0].role, task_type=ROLES[0].task_types[0])["task"]
    assert call(context, "task", task=number)["cwd"] == context.session.cwd
    args = {"role": ROLES[0].role, "task_type": ROLES[0].task_types[0]}
    context.session = dataclasses.replace(context.session, cwd=str(tmp_path))
    number = call(context, "assign", cwd=str(tmp_path), **args)["task"]
    assert call(context, "task", task=number)["cwd"] == str(tmp_path)
    with pytest.raises(Denied, match="is a directory of the system"):
        call(context, "assign", cwd="/etc", **args)
    for wrong in ("relative", str(tmp_path / "missing"), "/a\0b"):
        with pytest.raises(InvalidInput, match="absolute path"):
            call(context, "assign", cwd=wrong, **args)
