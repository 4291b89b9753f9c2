"""Claude Code and Codex themselves, with hooks, and a model on loopback.

They come as those of the tests with agents do: from npm, or from where KHIVE_TEST_AGENTS says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_support import real_agents
from model_endpoint import Endpoint, serving
from support import DEADLINE, ROOT, Clock, Installation, store_of, wait_until

from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.maintenance.following import TranscriptFollower
from khive_supervisor.transcripts import finding

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


@pytest.fixture(scope="session")
def opencode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("agents")
    try:
        yield real_agents(directory, "opencode")["opencode"]
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

    def set_up(self, *connected: str) -> None:
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
        for client in connected:
            self.khive.run("connect", client, "--hooks")

    def run(self, command: list[str], place: Path) -> str:
        environment = {**self.khive.env, "PWD": str(place)}  # OpenCode goes by it
        done = subprocess.run(
            command, env=environment, cwd=place, stdin=subprocess.DEVNULL, text=True,
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

    def codex(self, prompt: str, place: Path, *more: str) -> list[dict[str, Any]]:
        flags = ["--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
        return self.asked([self.programs["codex"], "exec", *flags, *more, prompt], place)

    def opencode(self, prompt: str, place: Path, *more: str) -> list[dict[str, Any]]:
        """Return what the model was asked of the prompt; a session's title is asked for, too."""
        asked = self.asked([self.programs["opencode"], "run", *more, prompt], place)
        return [one for one in asked if one.get("tools")]

    def set_up_opencode(self) -> None:
        folder = self.khive.home / ".config" / "opencode"
        folder.mkdir(parents=True)
        options = {"baseURL": f"{self.endpoint.url}/v1", "apiKey": "none"}
        limit = {"context": 100_000, "output": 1000}
        model = {"options": options, "models": {"mock": {"name": "mock", "limit": limit}}}
        chosen = {"model": "anthropic/mock", "small_model": "anthropic/mock", "autoupdate": False}
        settings = {"provider": {"anthropic": model}, **chosen}
        (folder / "opencode.json").write_text(json.dumps(settings))

    def sessions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.khive.json("sessions")["sessions"]
        return found


@pytest.fixture
def clients(
    khive: Installation, programs: dict[str, str], endpoint: Endpoint, tmp_path: Path
) -> Clients:
    made = Clients(khive, programs, endpoint, tmp_path)
    made.set_up("claude-code", "codex")
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


@pytest.mark.long
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


# --- a command that fails -------------------------------------------------------------------------

FAILS = "echo \"ModuleNotFoundError: No module named 'ledgerlib'\" >&2; exit 1"
FIX = "ModuleNotFoundError of ledgerlib: run pip install -e tools/ledger first."
#: How each agent's model runs it, and what lets it do so unasked.
RUNS: dict[str, tuple[tuple[str, dict[str, Any]], list[str]]] = {
    "claude": (("Bash", {"command": FAILS}), ["--allowedTools", "Bash"]),
    "codex": (
        ("exec_command", {"cmd": FAILS}), ["--dangerously-bypass-approvals-and-sandbox"],
    ),
    "opencode": (("bash", {"command": FAILS, "description": "x"}), []),
}  # fmt: skip


def failed_with(clients: Clients, agent: str) -> None:
    """Let an agent's model run a command that fails, and look at what it is told of it."""
    clients.endpoint.uses, flags = RUNS[agent]
    run = getattr(clients, agent)
    asked = run("Please do the accounts of today now.", clients.repository, *flags)
    assert "tools/ledger" not in json.dumps(asked[0])
    assert FIX in json.dumps(asked[-1])
    found = clients.khive.call("journal.search", query="ledgerlib", scope="all")["events"]
    assert {one["kind"] for one in found} >= {"command", "error"}


@pytest.mark.long
@pytest.mark.parametrize("agent", ["claude", "codex"])
def test_a_command_that_fails_is_answered_with_the_known_fix(
    khive: Installation,
    programs: dict[str, str],
    endpoint: Endpoint,
    tmp_path: Path,
    agent: str,
) -> None:
    khive.configure("[hooks]\nstart_tokens = 0\n")
    clients = Clients(khive, programs, endpoint, tmp_path)
    clients.set_up({"claude": "claude-code"}.get(agent, agent))
    khive.call_from(str(clients.repository), "memory.remember", content=FIX)
    failed_with(clients, agent)


# --- OpenCode -------------------------------------------------------------------------------------


@pytest.mark.long
def test_opencode_is_told_and_tells(
    khive: Installation, opencode: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    clients = Clients(khive, {"opencode": opencode}, endpoint, tmp_path)
    clients.set_up_opencode()
    clients.set_up("opencode")
    clients.opencode(DECISION, clients.repository)
    wait_until(lambda: learned(clients), "the decision is learned")
    assert has_all(clients.opencode("What is next?", clients.worktree)[0])
    assert not any(has_all(one) for one in clients.opencode("What is next?", clients.other))
    assert {one["state"] for one in clients.sessions()} == {"ended"}
    khive.configure("[hooks]\nstart_tokens = 0\n")
    khive.run("reload")
    khive.call_from(str(clients.repository), "memory.remember", content=FIX)
    failed_with(clients, "opencode")
    khive.run("connect", "opencode", "--no-hooks")
    assert not (khive.home / ".config/opencode/plugins").exists()
    asked = clients.opencode("What is next?", clients.worktree)
    assert not any(has_all(one) for one in asked)


# --- transcripts ----------------------------------------------------------------------------------


def test_sessions_without_hooks_are_learned_from_their_transcripts(
    khive: Installation, programs: dict[str, str], endpoint: Endpoint, tmp_path: Path
) -> None:
    clients = Clients(khive, programs, endpoint, tmp_path)
    clients.set_up()
    khive.run("capture", "on")
    endpoint.uses, flags = RUNS["claude"]
    clients.claude(DECISION, clients.repository, *flags)
    endpoint.uses, flags = RUNS["codex"]
    clients.codex("From now on migrations are written by hand.", clients.repository, *flags)
    with store_of(khive) as store:
        now = Clock(0.0)
        roots = finding.roots(str(khive.home), {})
        follower = TranscriptFollower(
            store, Config(), clock=now, wall_clock=time.time, roots=roots
        )  # fmt: skip
        for _ in range(3):
            follower.look()
            now.now += 60.0
        events = store.journal.search([])
    heard = {(one.client, one.kind) for one in events}
    both = ("claude-code", "codex")
    assert heard >= {(client, kind) for client in both for kind in ("prompt", "command", "error")}
    assert learned(clients)
    told = khive.call_from(str(clients.repository), "memory.recall", query="migrations")
    assert "by hand" in json.dumps(told)
    assert khive.json("capture")["not_understood"] == []
