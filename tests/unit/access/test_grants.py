"""Grants put together: what both allow, what several allow, and what crosses to a worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.access import decide
from khive_supervisor.access.grant import (
    AGENT,
    OPERATOR,
    Audience,
    Grant,
    check_operator,
    confined_to,
    from_dict,
    united,
)
from khive_supervisor.config.load import from_dict as config_from
from khive_supervisor.errors import Denied

NAMES = st.sampled_from(["a", "b", "c"])
GRANTS = st.builds(
    Grant,
    st.sampled_from(Audience),
    st.none() | st.lists(NAMES, unique=True, max_size=3).map(tuple),
    st.lists(st.sampled_from(["s1", "s2"]), unique=True, max_size=2).map(tuple),
    st.sampled_from(["", "a", "b"]),
)
CONFIG = config_from({"confine": [{"path": "/srv/acme", "namespace": "acme"}]})


# --- both -----------------------------------------------------------------------------------------


@given(GRANTS, GRANTS, NAMES)
def test_what_is_narrowed_allows_what_both_do(one: Grant, other: Grant, name: str) -> None:
    both = one.narrowed(other)
    assert both.operator is (one.operator and other.operator)
    assert both.admits(name) is (one.admits(name) and other.admits(name))
    assert both.confined is (one.confined or other.confined)
    assert both.owners == one.owners
    assert both.home == (one.home or other.home)


@given(GRANTS)
def test_narrowing_by_what_one_has_changes_nothing(one: Grant) -> None:
    assert one.narrowed(one) == one


@given(GRANTS, GRANTS)
def test_the_order_of_narrowing_does_not_matter_for_what_is_allowed(a: Grant, b: Grant) -> None:
    one, other = a.narrowed(b), b.narrowed(a)
    assert (one.audience, set(one.namespaces or ())) == (
        other.audience, set(other.namespaces or ()),
    )  # fmt: skip


# --- several --------------------------------------------------------------------------------------


def test_of_nobody_nothing_is_known() -> None:
    assert united([]) is None


@given(GRANTS)
def test_one_alone_is_as_it_is(one: Grant) -> None:
    assert united([one]) == one


@given(st.lists(GRANTS, min_size=1, max_size=4), NAMES)
def test_several_allow_what_any_of_them_does(grants: list[Grant], name: str) -> None:
    found = united(grants)
    assert found is not None
    assert found.operator is any(one.operator for one in grants)
    assert found.admits(name) is any(one.admits(name) for one in grants)
    assert found.owners == tuple(dict.fromkeys(o for one in grants for o in one.owners))
    assert found.home == grants[0].home


# --- on the wire ----------------------------------------------------------------------------------


@given(GRANTS)
def test_a_grant_crosses_as_it_is(one: Grant) -> None:
    assert from_dict(one.as_dict()) == one


def test_whoever_says_nothing_is_an_agent() -> None:
    assert from_dict(None) == AGENT
    assert not AGENT.operator
    assert not AGENT.confined


def test_only_an_operator_passes() -> None:
    check_operator(OPERATOR, "Reloading")
    for grant in (AGENT, confined_to("a")):
        with pytest.raises(Denied, match="Reloading is an operator's") as caught:
            check_operator(grant, "Reloading")
        assert "terminal of your own" in caught.value.hint


# --- without a supervisor -------------------------------------------------------------------------

TASK = {"KHIVE_TASK_ID": "12", "KHIVE_NAMESPACE": "default", "KHIVE_ROLE": "reviewer"}
ALONE: list[tuple[str, str, dict[str, str], Grant]] = [
    ("command", "/srv/x", {}, OPERATOR),
    ("command", "/srv/acme", {}, Grant(Audience.OPERATOR, home="acme")),
    ("command", "/srv/x", {"CLAUDECODE": "1"}, AGENT),
    ("command", "/srv/acme", {"CLAUDECODE": "1"}, confined_to("acme")),
    ("command", "/srv/x", {"CLAUDECODE": ""}, OPERATOR),
    ("command", "/srv/x", {"KHIVE_CONFINE": "acme"},
     Grant(Audience.AGENT, ("acme",), home="acme")),
    ("command", "/srv/x", TASK, Grant(owners=("task-12",))),
    ("command", "/srv/x", {**TASK, "KHIVE_NAMESPACE": "acme"},
     Grant(Audience.AGENT, ("acme",), ("task-12",), "acme")),
    ("attach", "/srv/x", {}, AGENT),
    ("attach", "/srv/acme", {}, confined_to("acme")),
    ("attach", "/srv/x", {"CLAUDE_PROJECT_DIR": "/srv/acme"}, confined_to("acme")),
    ("attach", "/srv/x", TASK, Grant(owners=("task-12",))),
    ("attach", "/srv/x", {**TASK, "KHIVE_NAMESPACE": "acme"},
     Grant(Audience.AGENT, ("acme",), ("task-12",), "acme")),
    ("attach", "/srv/x", {"KHIVE_NAMESPACE": "acme"}, AGENT),
    ("attach", "/srv/x", {"KHIVE_ROLE": "reviewer"}, AGENT),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "cwd", "environ", "expected"), ALONE, ids=str)
def test_who_serves_itself_goes_by_what_the_environment_says(
    kind: str, cwd: str, environ: dict[str, str], expected: Grant
) -> None:
    assert decide.alone(CONFIG, kind, cwd, {**environ, "PATH": "/bin"}) == expected


@given(st.dictionaries(st.sampled_from(decide.HINTS), st.sampled_from(["", "1", "/srv/acme"])))
def test_no_variable_makes_more_of_a_session(environ: dict[str, str]) -> None:
    plain = decide.alone(CONFIG, "attach", "/srv/x", {})
    found = decide.alone(CONFIG, "attach", "/srv/x", environ)
    assert not (found.operator and not plain.operator)
    assert not (plain.confined and not found.confined)


@pytest.mark.parametrize("name", decide.BENEATH_AGENT)
def test_each_variable_of_an_agent_counts_and_an_empty_one_does_not(name: str) -> None:
    assert decide.is_beneath({name: "1"})
    assert not decide.is_beneath({name: ""})
    assert not decide.is_beneath({"KHIVE_NAMESPACE": "a", decide.PROJECT: "/x"})
