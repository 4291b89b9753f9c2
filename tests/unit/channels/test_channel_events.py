"""Which events go to which channel, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.audit.actions import ACTIONS
from khive_supervisor.channels import events
from khive_supervisor.channels.events import Event, is_for, kinds_of, unknown, wanted_kind
from khive_supervisor.channels.messages import LINES, gathered, message_of, plain
from khive_supervisor.channels.signing import body_of
from khive_supervisor.config.settings.channels import Channel

ANY = Channel(name="a", kind="desktop")


def channel(**given: Any) -> Channel:
    return Channel(name="a", kind="desktop", **given)


@pytest.mark.parametrize(
    ("kind", "detail", "told"),
    [
        ("task.failed", {}, "task.failed"),
        ("task.leased", {}, ""),
        ("memory.remembered", {}, ""),
        ("configuration.refused", {}, events.RELOAD_FAILED),
        ("configuration.reverted", {}, events.ROLLED_BACK),
        ("configuration.reloaded", {"state": "done"}, ""),
        ("configuration.reloaded", {"state": "done", "errors": ["x"]}, events.RELOAD_FAILED),
        ("configuration.reloaded", {"state": "failed"}, events.RELOAD_FAILED),
        ("configuration.reloaded", {"state": "rolled_back"}, events.ROLLED_BACK),
    ],
)
def test_what_is_usual_is_told_to_who_asks_for_nothing(
    kind: str, detail: dict[str, Any], told: str
) -> None:
    assert wanted_kind(ANY, kinds_of(kind, detail)) == told


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.kind)
def test_every_kind_of_entry_can_be_asked_for_by_itself_and_by_its_group(action: Any) -> None:
    for pattern in (action.kind, f"{action.kind.partition('.')[0]}.*"):
        assert wanted_kind(channel(events=(pattern,)), (action.kind,)) == action.kind
    assert wanted_kind(channel(events=("other.kind",)), (action.kind,)) == ""
    told = message_of(Event(action.kind, "task/t1", 1.0, "k"), contents=False)
    assert "t1" in told.title or action.kind in events.USUAL


def test_what_is_usual_is_there_and_a_pattern_of_nothing_is_known() -> None:
    later = {"task.held", "approval.asked", "approval.unanswered", "workflow.failed",
             "candidate.unavailable"}  # fmt: skip
    assert set(unknown(events.USUAL)) <= later
    assert list(unknown(("task.*", "nobody.*", "disk.low"))) == ["nobody.*"]


@pytest.mark.parametrize(
    ("roles", "projects", "role", "project", "told"),
    [
        ((), (), "a", "p", True),
        (("a",), (), "a", "p", True),
        (("a",), (), "b", "p", False),
        (("a",), (), "", "", True),
        ((), ("p",), "a", "q", False),
        ((), ("p",), "a", "", True),
        (("a",), ("p",), "a", "p", True),
        (("a",), ("p",), "b", "p", False),
    ],
)
def test_roles_and_projects_let_theirs_through(
    roles: tuple[str, ...], projects: tuple[str, ...], role: str, project: str, told: bool
) -> None:
    event = Event("task.done", "task/t1", 1.0, "k", role, project)
    assert is_for(channel(roles=roles, projects=projects), event) is told


def test_contents_are_told_only_where_they_are_asked_for() -> None:
    detail = {"role": "r", "error": "the password was wrong", "last_prompt": "and then?"}
    event = Event("task.failed", "task/t1", 1.0, "k", detail=detail)
    for contents in (True, False):
        told = body_of(message_of(event, contents=contents)).decode()
        assert ("password" in told) is contents
        assert ("and then" in told) is contents
        assert '"role":"r"' in told


@given(st.text(), st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.text(), max_size=3))
def test_nothing_that_is_told_acts_on_a_terminal(kind: str, subject: str, detail: Any) -> None:
    told = message_of(Event(kind, subject, 1.0, "k", detail=detail), contents=True)
    assert all(line.isprintable() for line in (told.title, *told.lines))
    json.loads(body_of(told))


def test_a_line_is_bounded_and_control_characters_are_shown() -> None:
    assert plain("a\x1b[2Jb\u202e") == "a\\u001b[2Jb\\u202e"
    assert len(plain("x" * 1000)) == 300


@pytest.mark.parametrize("count", [1, 2, LINES, LINES + 5])
def test_several_are_one_message_that_names_each_and_keeps_all_data(count: int) -> None:
    one = [
        message_of(Event("task.done", f"task/t{n}", float(n), f"k{n}"), contents=False)
        for n in range(count)
    ]
    told = gathered(one, "key")
    assert told.key == "key"
    assert len(told.lines) <= LINES + 1
    if count > 1:
        assert len(told.data["events"]) == count
        assert told.at == count - 1
