"""What was said on a branch is marked where another one is checked out, until it is merged."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.projects.discovery import identify
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
MARK = "on branch side, not merged"
Git = Callable[..., None]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "work" / "repository"
    place.mkdir(parents=True)
    return place


@pytest.fixture
def git(repository: Path, tmp_path: Path) -> Git:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment = {**kept, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        argv = ["git", *who, *words]
        subprocess.run(argv, cwd=repository, env=environment, check=True, capture_output=True)

    run("init", "-q", "-b", "main")
    run("commit", "-q", "--allow-empty", "-m", "one")
    return run


@pytest.fixture
def ask(repository: Path, git: Git, tmp_path: Path) -> Ask:
    """Call a verb in a session of its own, as the repository is now."""

    def call(verb: str, **args: Any) -> dict[str, Any]:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
        found = identify(str(repository), str(tmp_path))
        assert found is not None
        info = SessionInfo(id="s", project=found, cwd=str(repository))
        context = Context(config, info, socket_path=None, make_embedder=lambda: None, grant=AGENT)
        try:
            return REGISTRY.call(context, verb, args)
        finally:
            context.close()

    return call


def marks(ask: Ask) -> list[str | None]:
    return [one.get("branch") for one in ask("memory.recall", query="kettle")["results"]]


def test_what_a_branch_says_is_marked_until_it_is_merged(git: Git, ask: Ask) -> None:
    git("checkout", "-q", "-b", "side")
    git("commit", "-q", "--allow-empty", "-m", "aside")
    ask("memory.remember", content="The kettle boils at side.")
    assert marks(ask) == [None]
    git("checkout", "-q", "main")
    assert marks(ask) == [MARK]
    git("checkout", "-q", "-b", "third")
    assert marks(ask) == [MARK]
    git("checkout", "-q", "main")
    git("merge", "-q", "--no-ff", "-m", "both", "side")
    assert marks(ask) == [None]


def test_what_the_default_branch_says_has_no_mark(git: Git, ask: Ask) -> None:
    ask("memory.remember", content="The kettle boils at main.")
    git("checkout", "-q", "-b", "side")
    git("commit", "-q", "--allow-empty", "-m", "aside")
    assert marks(ask) == [None]
