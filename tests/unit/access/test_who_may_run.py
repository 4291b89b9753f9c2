"""Commands that read or write files themselves go by the grant of whoever runs them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.cli.connection import permission
from khive_supervisor.cli.main import cli
from khive_supervisor.errors import Denied

#: An operator's, and what an agent may run as long as it is not confined.
OPERATORS = (
    "backup copy.db",
    "restore copy.db --yes",
    "audit show",
    "audit head",
    "audit verify",
    "http token",
    "http token --namespace acme",
    "capabilities enable implement",
)
AGENTS = ("logs", "worktrees")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLAUDECODE", "KHIVE_CONFIG", "KHIVE_STORE", "KHIVE_SOCKET", "KHIVE_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(words: str) -> bool:
    found = CliRunner().invoke(cli, words.split())
    return isinstance(found.exception, Denied) or "terminal of your own" in found.output


@pytest.mark.parametrize("grant", [AGENT, confined_to("acme"), Grant(namespaces=())])
@pytest.mark.parametrize("words", [*OPERATORS, *AGENTS])
def test_what_the_supervisor_says_counts(
    words: str, grant: Grant, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permission, "seen_by_supervisor", lambda _file: grant)
    assert refused(words) == (grant.confined or words in OPERATORS)
    assert grant.confined is False or not list(home.rglob("*.db"))


@pytest.mark.parametrize("words", [*OPERATORS, *AGENTS])
def test_nobody_else_is_refused(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permission, "seen_by_supervisor", lambda _file: OPERATOR)
    assert not refused(words)


@pytest.mark.parametrize(
    ("name", "value", "confined"),
    [("CLAUDECODE", "1", False), ("KHIVE_TASK_ID", "7", False), ("KHIVE_CONFINE", "acme", True)],
)
def test_without_a_supervisor_the_environment_counts(
    name: str, value: str, confined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with click.Context(cli):
        assert permission.grant_here(None).operator
        monkeypatch.setenv(name, value)
        found = permission.grant_here(None)
    assert (found.operator, found.confined) == (False, confined)
