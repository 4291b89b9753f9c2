"""Tasks, roles and deadlines as agents and people see them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.agents import task_forms
from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import CANCELLED, DEAD, DONE, FAILED, LEASED, QUEUED, STATES, Task
from khive_supervisor.tasks.records import Summary
from khive_supervisor.verbs import forms

NOW = 1_800_000_000.0
BARE: dict[str, Any] = {
    "id": 12, "role": "critic", "task_type": "", "payload": None, "priority": 0,
    "idempotency": None, "state": QUEUED, "attempts": 0, "attempts_max": 3, "token": 0,
    "worker": None, "generation": None, "digest": "", "lease": None, "cancel_asked": False,
    "deadline": None, "not_before": None, "progress": None, "result": None, "error": None,
    "log_tail": None, "chosen": None, "quality": None, "actor": "", "namespace": "", "session": "",
    "created_at": NOW, "started_at": None, "ended_at": None,
}  # fmt: skip


def task(**fields: Any) -> Task:
    return Task(**{**BARE, **fields})


# --- ids ------------------------------------------------------------------------------------------


@given(st.integers(1, 10**17))
def test_an_id_is_read_as_it_is_shown(number: int) -> None:
    assert task_forms.task_id(f" t{number}\n") == number
    assert task_forms.show(task(id=number))["task"] == f"t{number}"


@pytest.mark.parametrize("text", ["", "12", "t", "t0", "t01", "t-1", "m12", "t12x", "t" + "9" * 19])
def test_what_is_no_id_is_refused_with_where_to_find_one(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a task's id") as caught:
        task_forms.task_id(text)
    assert "agents.tasks" in caught.value.hint


def test_a_very_long_text_is_repeated_in_part() -> None:
    with pytest.raises(InvalidInput) as caught:
        task_forms.task_id("x" * 1000)
    assert len(caught.value.message) < 150


def test_a_task_that_is_gone_is_said_to_be_removed_by_and_by() -> None:
    error = task_forms.missing(" t12 ")
    assert error.message == "There is no task t12."
    assert "removed" in error.hint


# --- what is shown --------------------------------------------------------------------------------


def test_a_task_shows_what_it_has_and_no_more() -> None:
    assert task_forms.show(task()) == {
        "task": "t12", "state": "queued", "role": "critic", "attempts": "0 of 3",
        "created_at": forms.timestamp(NOW),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "name", "shown"),
    [
        ({"task_type": "review"}, "task_type", "review"),
        ({"priority": -5}, "priority", -5),
        ({"progress": "half"}, "progress", "half"),
        ({"error": "no"}, "error", "no"),
        ({"cancel_asked": True}, "cancel_asked", True),
        ({"quality": 0.0}, "quality", 0.0),
        ({"idempotency": "k"}, "idempotency_key", "k"),
        ({"deadline": NOW}, "deadline", forms.timestamp(NOW)),
        ({"started_at": 0.0}, "started_at", forms.timestamp(0.0)),
        ({"ended_at": NOW}, "ended_at", forms.timestamp(NOW)),
    ],
)
def test_what_is_known_of_a_task_is_shown(fields: dict[str, Any], name: str, shown: object) -> None:
    found = task_forms.show(task(**fields))
    assert found[name] == shown  # type: ignore[literal-required]  # each of its fields
    assert len(found) == 6


@pytest.mark.parametrize("state", STATES)
def test_a_worker_is_shown_while_it_is_at_work(state: str) -> None:
    found = task_forms.show(task(state=state, worker="critic-1:7"))
    assert ("worker" in found) == (state == LEASED)


@pytest.mark.parametrize("state", [QUEUED, LEASED, FAILED, CANCELLED, DEAD, DONE])
def test_only_a_done_task_has_a_result_also_where_that_is_nothing(state: str) -> None:
    found = task_forms.show_whole(task(state=state))
    assert ("result" in found) == (state == DONE)
    assert found["payload"] is None


def test_a_whole_task_has_everything() -> None:
    whole = task_forms.show_whole(
        task(
            state=DONE, payload={"a": 1}, result=[1], cwd="/src", agent_session="claude:x",
            place={"path": "/w", "branch": "b"}, log_tail="", chosen={"selected": "critic"},
            lease=Moment("b", 1.0),
        )
    )  # fmt: skip
    assert (whole["payload"], whole["result"], whole["cwd"]) == ({"a": 1}, [1], "/src")
    assert (whole["session"], whole["log_tail"]) == ("claude:x", "")
    assert whole["worktree"] == {"path": "/w", "branch": "b"}
    assert whole["why"] == {"selected": "critic"}
    assert "lease" not in whole


def test_how_a_role_does_is_told_with_what_is_known_alone() -> None:
    belief = Beta(9.0, 3.0)
    low, high = belief.interval()
    bare = task_forms.show_summary(Summary("t", belief, 10, 8, None, None, None))
    assert bare == {
        "task_type": "t", "executions": 10, "successes": 8, "success": 0.75,
        "interval": [round(low, 4), round(high, 4)],
    }  # fmt: skip
    whole = task_forms.show_summary(Summary("t", belief, 10, 8, 0.0, 0.123456, 2.0))
    assert (whole["recent_success"], whole["quality"], whole["latency_seconds"]) == (
        0.0, 0.1235, 2.0,
    )  # fmt: skip


# --- deadlines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "after"),
    [("30s", 30), (" 5 m", 300), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_a_deadline_is_so_long_from_now(text: str, after: float) -> None:
    assert task_forms.deadline(text, NOW) == NOW + after


def test_a_deadline_is_a_moment_or_refused() -> None:
    assert task_forms.deadline("2026-11-21T08:00Z", NOW) == forms.moment("2026-11-21T08:00Z", NOW)
    for text in ("", "soon", "5", "-5m", "7y"):
        with pytest.raises(InvalidInput):
            task_forms.deadline(text, NOW)


def test_a_deadline_is_as_late_as_the_calendar_goes_on() -> None:
    assert task_forms.deadline("999999w", NOW) == forms.LAST
