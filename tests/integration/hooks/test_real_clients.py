"""Claude Code and Codex themselves, with hooks, and a model on loopback.

They come as those of the tests with agents do: from npm, or from where KHIVE_TEST_AGENTS says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_support import real_agents
from model_endpoint import Endpoint, serving
from support import DEADLINE, ROOT, Installation, wait_until

DECISION = "From now on uploads are tried at most 4 times, with 250 ms between, never on 413."
LITERALS = ("at most 4 times", "250 ms", "413")


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("agents")
    try:
        yield real_agents(directory)
    except LookupError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(query="nothing") as made:
        made.calls = False
        yield made


class Clients:
    """Both clients, connected with hooks, and places to work in."""

    def __init__(
        self, khive: Installation, programs: dict[str, str], endpoint: Endpoint, path: Path
    ) -> None:
        self.khive, self.programs, self.endpoint = khive, programs, endpoint
        self.repository, self.worktree = path / "repository", path / "worktree"
        self.other = path / "other"
        khive.env |= {"ANTHROPIC_BASE_URL": endpoint.url, "ANTHROPIC_API_KEY": "none"}
        khive.env |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}

    def set_up(self) -> None:
        for place in (self.repository, self.other):
            self.run(["git", "init", "-q", str(place)], self.khive.home)
        commit = ["commit", "-q", "--allow-empty", "-m", "first"]
        self.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *commit], self.repository)
        self.run(["git", "worktree", "add", "-q", str(self.worktree)], self.repository)
        home = self.khive.home / ".codex"
        home.mkdir()
        (home / "config.toml").write_text(
            'model = "mock"\nmodel_provider = "mock"\n[model_providers.mock]\nname = "mock"\n'
            f'wire_api = "responses"\nbase_url = "{self.endpoint.url}/v1"\n'
        )
        self.khive.start()
        for client in ("claude-code", "codex"):
            self.khive.run("connect", client, "--hooks")

    def run(self, command: list[str], place: Path) -> str:
        done = subprocess.run(
            command, env=self.khive.env, cwd=place, stdin=subprocess.DEVNULL, text=True,
            capture_output=True, timeout=DEADLINE * 2, check=True,
        )  # fmt: skip
        return done.stdout

    def asked(self, command: list[str], place: Path) -> list[dict[str, Any]]:
        """Return what the model was asked in a run."""
        before = len(self.endpoint.asked)
        self.run(command, place)
        return self.endpoint.asked[before:]

    def claude(self, prompt: str, place: Path, *more: str) -> list[dict[str, Any]]:
        command = [self.programs["claude"], "-p", prompt, "--output-format", "json", *more]
        return self.asked(command, place)

    def codex(self, prompt: str, place: Path) -> list[dict[str, Any]]:
        flags = ["--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
        return self.asked([self.programs["codex"], "exec", *flags, prompt], place)

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.khive.json("sessions")["sessions"]
        return found


@pytest.fixture
def clients(
    khive: Installation, programs: dict[str, str], endpoint: Endpoint, tmp_path: Path
) -> Clients:
    made = Clients(khive, programs, endpoint, tmp_path)
    made.set_up()
    return made


def has_all(request: dict[str, Any]) -> bool:
    said = json.dumps(request)
    return all(literal in said for literal in LITERALS)


def learned(clients: Clients) -> bool:
    found = clients.khive.call_from(str(clients.repository), "memory.recall", query=DECISION)
    return "250 ms" in json.dumps(found)


def test_a_decision_in_claude_code_is_in_the_next_session_of_codex(clients: Clients) -> None:
    clients.claude(DECISION, clients.repository)
    wait_until(lambda: learned(clients), "the decision is learned")
    assert has_all(clients.codex("What is next?", clients.worktree)[0])
    assert not any(has_all(one) for one in clients.codex("What is next?", clients.other))
    states = {one["client"]: one for one in clients.sessions()}
    assert states.keys() == {"claude-code", "codex"}
    assert states["claude-code"]["last_prompt"] == DECISION


def test_after_a_compaction_it_is_still_there(clients: Clients) -> None:
    clients.claude(DECISION, clients.repository)
    wait_until(lambda: learned(clients), "the decision is learned")
    clients.claude("Hello there, my friend.", clients.repository)
    clients.claude("/compact", clients.repository, "--continue")
    asked = clients.claude("What is next?", clients.repository, "--continue")
    assert has_all(asked[0])


def test_the_plugin_is_installed_and_speaks(
    khive: Installation, programs: dict[str, str], endpoint: Endpoint, tmp_path: Path
) -> None:
    """From the marketplace of this repository, with nothing in the user's own settings."""
    khive.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{khive.env['PATH']}"
    clients = Clients(khive, programs, endpoint, tmp_path)
    khive.start()
    khive.call("memory.remember", content=DECISION)
    for words in (["marketplace", "add", str(ROOT)], ["install", "khive@khive"]):
        clients.run([programs["claude"], "plugin", *words], khive.home)
    assert has_all(clients.claude("What is next?", khive.home)[0])
    assert [one["client"] for one in clients.sessions()] == ["claude-code"]
