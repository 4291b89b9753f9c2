"""What `budget` prints: limits, what is spent of them, and what happens now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from khive_supervisor.cli.connection.session import Invocation
from khive_supervisor.cli.render.role_text import NO_ROLES

ENDS = "2026-11-30T00:00:00Z"


@pytest.fixture
def printed(
    khive: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """What the command prints of roles."""

    def run(*roles: dict[str, Any]) -> list[str]:
        monkeypatch.setattr(Invocation, "ask", lambda *_given, **_args: {"roles": list(roles)})
        return khive("budget").output.splitlines()

    return run


def role(*windows: dict[str, Any], **fields: object) -> dict[str, Any]:
    return {"role": "critic", "reserved": 0.25, "windows": list(windows), **fields}


def window(**fields: object) -> dict[str, Any]:
    return {
        "window": "week", "state": "normal", "ends": ENDS, "usd": 0.0, "tokens": 0, **fields,
    }  # fmt: skip


def test_a_window_with_a_limit_has_all_its_amounts(printed: Callable[..., list[str]]) -> None:
    limited = window(limit=10.0, spent=1.5, left=8.25)
    heading, line = printed(role(limited, unit="usd"))
    assert heading.split() == [
        "ROLE", "WINDOW", "LIMIT", "SPENT", "RESERVED", "LEFT", "STATE", "ENDS",
    ]  # fmt: skip
    assert line.split() == [
        "critic", "week", "$10.00", "$1.50", "$0.25", "$8.25", "normal", "2026-11-30", "00:00",
        "UTC",
    ]  # fmt: skip


def test_tokens_are_whole(printed: Callable[..., list[str]]) -> None:
    limited = window(limit=5000, spent=1200, left=3800)
    line = " ".join(printed(role(limited, unit="tokens", reserved=0))[1].split())
    assert line.startswith("critic week 5,000 tokens 1,200 tokens 0 tokens 3,800 tokens normal")


@pytest.mark.parametrize(
    ("used", "shown"),
    [
        ({}, "$0.00"),
        ({"usd": 0.5}, "$0.50"),
        ({"tokens": 1200}, "1,200 tokens"),
        ({"usd": 0.5, "tokens": 7}, "$0.50, 7 tokens"),
    ],
)
def test_without_a_limit_what_is_used_is_shown_in_its_units(
    printed: Callable[..., list[str]], used: dict[str, float], shown: str
) -> None:
    line = " ".join(printed(role(window(state="unlimited", **used)))[1].split())
    assert line.startswith(f"critic week - {shown} - - unlimited")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "critic: all is spent; its tasks wait"),
        ({"fallback": ["cheap"]}, "critic: all is spent; its fallback does the tasks"),
    ],
)
def test_what_happens_now_is_said_below(
    printed: Callable[..., list[str]], fields: dict[str, object], said: str
) -> None:
    assert printed(role(window(), why="all is spent", **fields))[-1] == said


def test_without_roles_it_is_said_where_to_find_some(printed: Callable[..., list[str]]) -> None:
    assert printed() == [NO_ROLES]
