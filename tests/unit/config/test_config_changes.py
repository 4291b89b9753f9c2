"""What a reload would change, and what it leaves for the next start."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from khive_supervisor.config.changes import (
    SHOWN_CHARACTERS,
    diff,
    digest_of,
    in_force,
    keep_roles,
)
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.handler import Handler
from khive_supervisor.config.settings.model import Config, every_setting
from khive_supervisor.config.settings.roles import Role, every_key

A = Role(role="a", task_types=("t",), handler=Handler(python="m:f"))
B = dataclasses.replace(A, role="b")


def config(**tables: dict[str, Any]) -> Config:
    return from_dict(tables)


def test_equal_configurations_have_an_empty_plan() -> None:
    plan = diff(Config(roles=(A,)), Config(roles=(A,)))
    assert plan.empty
    assert plan.describe() == "Nothing has changed."
    assert [(change.role, change.kind) for change in plan.roles] == [("a", "unchanged")]


def test_every_class_of_setting_is_told_apart() -> None:
    new = config(log={"level": "debug"}, session={"namespace": "n"}, store={"path": "/x.db"})
    plan = diff(Config(), new)
    assert [(c.key, c.applies) for c in plan.settings] == [
        ("store.path", "restart"),
        ("session.namespace", "session"),
        ("log.level", "live"),
    ]
    assert plan.waits_for_restart == ("store.path",)
    assert plan.applied == ("session.namespace", "log.level")
    text = plan.describe()
    assert 'Settings that change now:\n  log.level: "info" -> "debug"' in text
    assert 'attach later:\n  session.namespace: "default" -> "n"' in text
    assert "next start of the supervisor:\n  store.path:" in text


def test_settings_have_classes_of_settings_and_role_keys_those_of_roles() -> None:
    assert {s.applies for _, _, s in every_setting()} == {"live", "session", "restart"}
    assert {s.applies for _, s in every_key()} == {"live", "rolling", "identity"}


def test_what_waits_for_a_start_keeps_its_old_value() -> None:
    old = Config()
    new = config(log={"level": "debug", "backups": 9}, embedder={"kind": "none"})
    force = in_force(old, new)
    assert (force.log.level, force.log.backups) == ("debug", old.log.backups)
    assert force.embedder == old.embedder
    assert diff(force, new).waits_for_restart == ("embedder.kind", "log.backups")
    assert diff(force, new).applied == ()
    assert digest_of(in_force(force, new)) == digest_of(force)


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"workers": 4}, "live"),
        ({"attempts": 4}, "live"),
        ({"drain_deadline": 4.0}, "live"),
        ({"task_types": ("t", "u")}, "live"),
        ({"description": "d"}, "live"),
        ({"budget": Budget(weekly=0.0)}, "live"),
        ({"budget": Budget(weekly=1.0, fallback=("x",))}, "live"),
        ({"handler": Handler(command=("x",))}, "rolling"),
        ({"env_allow": ("A",)}, "rolling"),
        ({"env_require": ("A",)}, "rolling"),
        ({"cwd": "/"}, "rolling"),
        ({"timeout": 4.0}, "rolling"),
        ({"memory": 1 << 30}, "rolling"),
        ({"memory": 1 << 30, "workers": 4}, "rolling"),
    ],
)
def test_a_role_changes_in_place_or_rolls(changed: dict[str, Any], kind: str) -> None:
    new = dataclasses.replace(A, **changed)
    (change,) = diff(Config(roles=(A,)), Config(roles=(new,))).roles
    assert change.kind == kind
    assert {c.key.partition(".")[0] for c in change.changes} == set(changed)


def test_a_limit_that_comes_is_told_as_such() -> None:
    new = dataclasses.replace(A, budget=Budget(weekly=0.0))
    (change,) = diff(Config(roles=(A,)), Config(roles=(new,))).roles
    assert [(c.key, c.old, c.new) for c in change.changes] == [("budget.weekly", "no limit", "0.0")]


def test_roles_come_and_go() -> None:
    plan = diff(Config(roles=(A,)), Config(roles=(B,)))
    assert [(change.role, change.kind) for change in plan.roles] == [
        ("b", "added"),
        ("a", "removed"),
    ]
    assert "Role b is added." in plan.describe()


def test_the_digest_names_both_ends() -> None:
    one, two = Config(), config(log={"level": "debug"})
    assert diff(one, two).digest == diff(one, two).digest
    assert len({diff(one, two).digest, diff(two, one).digest, diff(one, one).digest}) == 3


def test_roles_that_were_rolled_back_keep_their_old_form() -> None:
    new = dataclasses.replace(A, workers=9)
    added = dataclasses.replace(A, role="c")
    kept = keep_roles(Config(roles=(A, B)), Config(roles=(new, added)), {"a", "b", "c"})
    assert kept.roles == (A, B)
    assert keep_roles(Config(roles=(A,)), Config(roles=(new,)), set()).roles == (new,)


def test_what_only_waits_for_a_start_is_a_difference() -> None:
    old = Config(roles=(A,))
    waits = diff(old, dataclasses.replace(config(store={"path": "/x.db"}), roles=(A,)))
    assert waits.waits_for_restart == ("store.path",)
    assert not waits.empty
    assert diff(old, old).empty
    assert not diff(old, Config(roles=(A, B))).empty


def test_a_plan_is_plain_data() -> None:
    plan = diff(Config(roles=(A,)), Config(roles=(dataclasses.replace(A, workers=2), B)))
    told = [change.as_dict() for change in plan.roles]
    assert [(one["role"], one["kind"]) for one in told] == [("a", "live"), ("b", "added")]
    assert told[0]["changes"] == [{"key": "workers", "old": "1", "new": "2", "applies": "live"}]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ((), (A,), "Role a is added."),
        ((A,), (), "Role a is removed after its tasks in flight."),
        (
            (A,),
            (dataclasses.replace(A, timeout=4.0),),
            "Role a gets new workers; the old ones finish what they hold:",
        ),
        ((A,), (dataclasses.replace(A, workers=4),), "Role a changes in place:\n  workers: 1 -> 4"),
    ],
)
def test_what_becomes_of_a_role_is_said(
    old: tuple[Role, ...], new: tuple[Role, ...], said: str
) -> None:
    assert diff(Config(roles=old), Config(roles=new)).describe().startswith(said)


@pytest.mark.parametrize("over", [0, 1])
def test_a_long_text_is_told_by_its_length(over: int) -> None:
    quotes = len('""')
    text = "x" * (SHOWN_CHARACTERS - quotes + over)
    plan = diff(Config(roles=(A,)), Config(roles=(dataclasses.replace(A, description=text),)))
    told = plan.describe().splitlines()[-1]
    if over:
        length = len(text) + quotes
        assert told == f"  description: another text, {quotes} -> {length} characters"
    else:
        assert told == f'  description: "" -> "{text}"'
    assert plan.as_dict()["roles"][0]["changes"][0]["new"] == f'"{text}"'  # JSON has all of it


def test_changes_are_grouped_by_when_they_take_effect() -> None:
    new = config(log={"level": "debug"}, session={"namespace": "n"}, store={"path": "/x.db"})
    text = diff(Config(), dataclasses.replace(new, roles=(A,))).describe()
    heads = [block.split("\n")[0] for block in text.split("\n\n")]
    assert heads == [
        "Settings that change now:",
        "Settings that change in sessions that attach later:",
        "Settings that change at the next start of the supervisor:",
        "Role a is added.",
    ]


def test_a_plan_for_programs_says_whether_it_does_anything() -> None:
    nothing = diff(Config(roles=(A,)), Config(roles=(A,))).as_dict()
    assert (nothing["empty"], nothing["settings"], nothing["waits_for_restart"]) == (True, [], [])
    some = diff(Config(), config(store={"path": "/x.db"})).as_dict()
    assert (some["empty"], some["waits_for_restart"]) == (False, ["store.path"])
    assert some["settings"][0]["key"] == "store.path"
    assert some["digest"] != nothing["digest"]


def test_directories_are_confined_in_sessions_to_come() -> None:
    new = config(confine=[{"namespace": "shop", "path": "~/shop/**"}])
    (change,) = diff(Config(), new).settings
    assert (change.key, change.applies, change.old) == ("confine", "session", "[]")
    assert change.new == '[{ namespace = "shop", path = "~/shop/**" }]'
    bare = diff(new, config(confine=[{"namespace": "shop"}])).settings
    assert bare[0].new == '[{ namespace = "shop" }]'
    other = config(confine=[{"namespace": "shop"}])
    assert len({digest_of(new), digest_of(other), digest_of(Config())}) == 3


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ({"a"}, ("a", "c")),  # its old form; what is new otherwise is taken
        ({"b"}, ("a", "c", "b")),  # it was removed, and stays
        ({"c"}, ("a",)),  # it is new, and does not come
        (set(), ("a", "c")),
    ],
)
def test_roles_that_could_not_be_made_ready_stay_as_they_were(
    names: set[str], roles: tuple[str, ...]
) -> None:
    new = dataclasses.replace(A, workers=9), dataclasses.replace(A, role="c")
    kept = keep_roles(Config(roles=(A, B)), Config(roles=new), names)
    assert tuple(role.role for role in kept.roles) == roles
    assert kept.roles[0].workers == (A.workers if "a" in names else 9)


RELEASE: dict[str, Any] = {
    "name": "release",
    "steps": [{"name": "build", "role": "a"}],
}
CALL: dict[str, Any] = {"name": "me", "kind": "webhook", "url": "https://example.org/x"}


def test_workflows_are_told_by_their_steps_and_when_they_run() -> None:
    one = config(workflows=[RELEASE])
    (came,) = diff(Config(), one).settings
    assert (came.key, came.old, came.new) == ("workflows.release", "none", "1 steps")
    assert came.applies == "live"
    timed = config(workflows=[{**RELEASE, "every": "0 3 * * *"}])
    (changed,) = diff(one, timed).settings
    assert (changed.old, changed.new) == ("1 steps", '1 steps, every "0 3 * * *"')
    (went,) = diff(one, Config()).settings
    assert (went.old, went.new) == ("1 steps", "none")
    assert diff(one, config(workflows=[RELEASE])).empty
    assert len({digest_of(Config()), digest_of(one), digest_of(timed)}) == 3


def test_channels_are_told_by_what_differs() -> None:
    one = config(channels=[CALL])
    other = config(channels=[{**CALL, "url": "https://example.org/y"}])
    (changed,) = diff(one, other).settings
    assert changed.key == "channels.me"
    assert changed.old == changed.new == '{ url = "https://(not shown)" }'
    (came,) = diff(Config(), one).settings
    assert came.old == "none"
    assert came.new.startswith('{ name = "me", kind = "webhook"')
    assert "example.org" not in came.new
    assert diff(one, config(channels=[CALL])).empty
    assert digest_of(one) != digest_of(other)


def test_a_digest_has_sixteen_signs_whatever_the_order_of_what_it_is_of() -> None:
    assert len(digest_of(Config())) == 16
    assert digest_of(Config()) == digest_of(config())
