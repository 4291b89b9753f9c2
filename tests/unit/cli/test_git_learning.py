"""A run of `learn --git` over a real repository: reasons become entries, and nothing is run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.cli.memories.git_learning import CommitTally, learn_commits, summary
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.projects.discovery import identify
from khive_supervisor.projects.history import LOOKED_AT
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
REASON = "Cap the retries\n\nAn eighth attempt crosses the limiter's window of 30 s."
#: Made where it is needed: it is a key in form alone.
SECRET = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"


class GitLearner:
    """A repository, and the verbs of this process as a session in it."""

    def __init__(self, home: Path) -> None:
        self.top = home / "shop"
        self.git("init", "-q", "-b", "main", str(self.top), cwd=home)
        config = from_dict({"store": {"path": str(home / "store" / "khive.db")}})
        info = SessionInfo(id="s", project=identify(str(self.top), "/nowhere"))
        self.context = Context(
            config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR
        )

    def git(self, *words: str, cwd: Path | None = None) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        dates = {"GIT_AUTHOR_DATE": "1700000000 +0000"}
        done = subprocess.run(
            ["git", *who, *words], cwd=cwd or self.top, env=environ | dates, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, message: str, path: str = "retry.py") -> str:
        (self.top / path).write_text(message)
        self.git("add", path)
        self.git("commit", "-q", "--allow-empty-message", "-m", message)
        return self.git("rev-parse", "HEAD")

    def request(self, operation: str, args: Any = None, progress: Any = None) -> Any:
        return REGISTRY.call(self.context, operation, json.loads(json.dumps(args)))

    def learn(self, most: int = LOOKED_AT) -> CommitTally:
        return learn_commits(self, str(self.top), None, most, lambda _: None)

    def entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.request("memory.list", {"kind": "history"})["entries"]
        return found


@pytest.fixture
def learner(tmp_path: Path) -> Iterator[GitLearner]:
    found = GitLearner(tmp_path)
    yield found
    found.context.close()


def test_a_reason_becomes_an_entry_of_the_repository_s_project(learner: GitLearner) -> None:
    number = learner.commit(REASON)
    learner.commit("Add a test")
    tally = learner.learn()
    assert (tally.looked_at, tally.stored, tally.without_reason) == (2, 1, 1)
    (entry,) = learner.entries()
    assert (entry["title"], entry["source"]) == ("Cap the retries", f"git:{number}")
    assert "window of 30 s. (retry.py; Ada)" in entry["content"]
    assert entry["created_at"] == "2023-11-14T22:13:20Z"
    (whole,) = learner.request("memory.get", {"ids": [entry["id"]]})["entries"]
    assert whole["commit"] == number
    assert whole["provenance"].startswith("learned by tool")
    (found,) = learner.request("memory.recall", {"query": "eighth attempt limiter"})["results"]
    assert found["id"] == entry["id"]


def test_again_it_learns_what_is_new_and_nothing_that_was_forgotten(learner: GitLearner) -> None:
    learner.commit(REASON)
    learner.learn()
    learner.request("memory.forget", {"ids": [learner.entries()[0]["id"]]})
    learner.commit("Wait longer\n\nThe upstream asks for ten seconds between two calls.", "b")
    tally = learner.learn()
    assert (tally.known, tally.stored) == (1, 1)
    assert [entry["title"] for entry in learner.entries()] == ["Wait longer"]


def test_the_newest_commits_are_looked_at_and_it_is_said_that_there_are_more(
    learner: GitLearner,
) -> None:
    for number in range(3):
        learner.commit(f"{REASON}\nIt was tried {number} times.", f"f{number}")
    tally = learner.learn(most=2)
    assert (tally.looked_at, tally.stored, tally.more) == (2, 2, True)
    assert "older commits" in summary(tally)
    assert "tried 0" not in str(learner.entries())


def test_a_commit_with_a_secret_keeps_no_other_from_being_learned(learner: GitLearner) -> None:
    bad = learner.commit(f"Use the token\n\nThe build machine has its own token: {SECRET}", "a")
    learner.commit(REASON, "b")
    tally = learner.learn()
    assert (tally.stored, [one["commit"] for one in tally.refused]) == (1, [bad])
    assert SECRET not in summary(tally)
    assert f"not learned: {bad[:12]}: " in summary(tally)


def test_nothing_that_the_repository_names_is_run(learner: GitLearner, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    program.chmod(0o755)
    learner.commit("* diff=evil filter=evil", ".gitattributes")
    learner.commit(REASON)
    for name in ("core.pager", "core.fsmonitor", "diff.external", "diff.evil.textconv",
                 "diff.evil.command", "filter.evil.clean", "gpg.program"):  # fmt: skip
        learner.git("config", name, str(program))
    learner.git("config", "log.showSignature", "true")
    assert learner.learn().stored == 1
    assert not mark.exists()


def test_a_worktree_has_its_own_branch_and_the_same_project(learner: GitLearner) -> None:
    learner.commit(REASON)
    learner.learn()
    learner.git("worktree", "add", "-q", "-b", "side", str(learner.top.parent / "side"))
    learner.top = learner.top.parent / "side"
    learner.commit("Wait longer\n\nThe upstream asks for ten seconds between two calls.", "b")
    tally = learner.learn()
    assert (tally.known, tally.stored) == (1, 1)


def test_what_is_no_repository_of_this_session_is_refused(
    learner: GitLearner, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="Nothing is committed"):
        learner.learn()
    learner.commit(REASON)
    learner.context.session = replace(learner.context.session, project=None)
    with pytest.raises(InvalidInput, match="not the repository of this session"):
        learner.learn()
    bare = tmp_path / "none"
    bare.mkdir()
    with pytest.raises(InvalidInput, match="in no git repository"):
        learn_commits(learner, str(bare), None, 5, lambda _: None)
