"""One task from end to end: an agent reviews, remembers, costs, is watched, and changes meanwhile.

What every part shows of it is tested with that part; here is what holds between them. The agent is
Claude Code itself where it can be had (see test_real_agents), and always a stand-in.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_support import AgentBench, real_agents
from http_support import Answer, HttpBench
from model_endpoint import Endpoint, serving
from prometheus_client.parser import text_string_to_metric_families
from support import DEADLINE, ROOT, Installation, wait_until

from khive_supervisor.tasks.model import DONE

FACT = "The teapot is kept behind the blue encyclopedia."
STAND_IN = ROOT / "scripts/agent_stand_in.py"
FIRST = "You are a code reviewer."
SECOND = "You are the second reviewer."
SETTINGS = "[http]\nenabled = true\nport = 0\n"


@dataclass(frozen=True)
class Reviewer:
    """An agent that waits in the middle of its task until it may go on."""

    agents: AgentBench
    handler: str
    env_allow: tuple[str, ...]
    #: Whether it has read the memory, and waits.
    waits: Callable[[], bool]
    go_on: Callable[[], None]
    #: All that it was told so far, with what it has answered.
    heard: Callable[[dict[str, Any]], str]

    def configure(self, *lines: str, weekly: float = 5.0) -> None:
        """The role: a capability, with what this agent needs and what a test adds."""
        allowed = ", ".join(f'"{name}"' for name in self.env_allow)
        role = ('capability = "code-reviewer"', self.handler, f"env_allow = [{allowed}]")
        budget = f"budget = {{ weekly = {weekly} }}"
        self.agents.roles.configure("\n".join((*role, budget, *lines)) + "\n", settings=SETTINGS)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(query="teapot") as made:
        made.open.clear()
        try:
            yield made
        finally:
            made.open.set()


@pytest.fixture(params=["stand-in", "claude"])
def reviewer(request: pytest.FixtureRequest, agents: AgentBench) -> Reviewer:
    if request.param == "stand-in":
        return stand_in(agents)
    directory = request.getfixturevalue("tmp_path") / "npm"
    directory.mkdir()
    try:
        program = real_agents(directory)["claude"]
    except LookupError as error:
        pytest.skip(str(error))
    return claude(agents, program, request.getfixturevalue("endpoint"))


def stand_in(agents: AgentBench) -> Reviewer:
    gate = agents.roles.khive.home / "gate"
    agents.roles.khive.env["STAND_IN_GATE"] = str(gate)
    words = f'["{sys.executable}", "{STAND_IN}"]'
    return Reviewer(
        agents,
        f'handler = {{ agent = {words}, format = "claude" }}',
        ("STAND_IN_GATE",),
        lambda: Path(f"{gate}.waits").exists(),
        gate.touch,
        lambda result: str(result["text"]),
    )


def claude(agents: AgentBench, program: str, endpoint: Endpoint) -> Reviewer:
    environment = {
        "ANTHROPIC_BASE_URL": endpoint.url,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    agents.roles.khive.env |= environment
    return Reviewer(
        agents,
        f'handler = {{ agent = ["{program}"] }}',
        tuple(environment),
        endpoint.waits.is_set,
        endpoint.open.set,
        lambda result: f"{endpoint.asked[-1]}{result['text']}",
    )


def samples(http: HttpBench) -> dict[tuple[str, ...], float]:
    """The metrics by their names with all their labels' values."""
    families = text_string_to_metric_families(http.ask("GET", "/metrics").body.decode())
    return {
        (one.name, *(text for _, text in sorted(one.labels.items()))): one.value
        for family in families
        for one in family.samples
    }


def test_a_review_from_its_assignment_to_its_bill(agents: AgentBench, reviewer: Reviewer) -> None:
    khive, roles = agents.roles.khive, agents.roles
    reviewer.configure()
    khive.start()
    http = HttpBench(khive)
    khive.call("memory.remember", content=FACT)
    wanted = {"task_type": "code-review", "payload": "teapot", "cwd": str(agents.repository)}

    # It is assigned, has read the memory, and is at work in a worktree of its own.
    given = http.ask("POST", "/tasks", wanted).data
    number = int(given["task"][1:])
    assert given["role"] == "reviewer"
    wait_until(lambda: reviewer.waits() or roles.task(number).ended, "the agent is at work")
    assert roles.task(number).state == "leased", f"{roles.task(number)}\n{khive.log_tail()}"
    heads = agents.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
    assert heads == [f"khive/reviewer-t{number}", "main"]
    found = samples(http)
    assert found["khive_queue_tasks", "reviewer", "leased"] == 1
    assert found["khive_budget_reserved", "reviewer", "usd", "week"] == 0.5
    assert found["khive_budget_spent", "reviewer", "usd", "week"] == 0

    # Its role changes meanwhile: another worker is ready, and it goes on as it was.
    reviewer.configure(f'prompt = "{SECOND}"')
    answers: list[Answer] = []
    reload = threading.Thread(target=lambda: answers.append(http.ask("POST", "/reload")))
    reload.start()
    wait_until(lambda: states(reviewer) == ["active", "draining"], "a new worker has taken over")
    reviewer.go_on()
    task = roles.ended(number)
    reload.join(DEADLINE)
    assert answers[0].data["state"] == "done", answers[0].data
    assert answers[0].data["roles"] == {"reviewer": "rolled"}
    assert (task.state, task.attempts) == (DONE, 1), f"{task.error}\n{task.log_tail}"
    assert FACT in task.result["text"]
    assert FIRST in reviewer.heard(task.result)
    assert task.place is None  # it has changed nothing, so nothing is left
    assert agents.git("for-each-ref", "--format=%(refname:short)", "refs/heads") == "main"

    # What it cost, in the budget and in the metrics.
    cost = task.result["usage"]["cost"] / 1_000_000
    assert cost > 0
    (account,) = khive.json("budget", "reviewer")["roles"]
    assert (account["windows"][0]["spent"], account["reserved"]) == (cost, 0)
    found = samples(http)
    assert found["khive_budget_spent", "reviewer", "usd", "week"] == cost
    assert found["khive_budget_spent", "reviewer", "tokens", "month"] == 240
    assert found["khive_budget_limit", "reviewer", "usd", "week"] == 5
    assert found["khive_budget_state", "reviewer", "usd", "week"] == 0
    assert found["khive_budget_reserved", "reviewer", "usd", "week"] == 0
    assert found["khive_task_attempts_total", "succeeded", "reviewer", "code-review"] == 1
    assert found["khive_reloads_total", "done"] == 1

    # What was done, and by whom.
    steps = khive.json("audit", "show", "--task", f"t{number}")["entries"]
    assert [one["kind"] for one in steps] == ["task.done", "task.leased", "task.enqueued"]
    assert len({one["actor"] for one in steps[:2]}) == 1
    (reloaded,) = khive.json("audit", "show", "--kind", "configuration.reloaded")["entries"]
    assert "reviewer" in str(reloaded["detail"])
    assert "intact" in khive.run("audit", "verify").stdout

    # The next task is the new reviewer's.
    after = http.ask("POST", "/tasks", wanted).data
    task = roles.ended(int(after["task"][1:]))
    assert task.state == DONE, task.error
    assert SECOND in reviewer.heard(task.result)
    assert samples(http)["khive_budget_spent", "reviewer", "usd", "week"] > cost

    # Nothing more may be spent: no worker is replaced for it, and nobody else gets a task.
    reviewer.configure(f'prompt = "{SECOND}"', weekly=0)
    assert http.ask("POST", "/reload").data["roles"] == {"reviewer": "live"}
    refused = http.ask("POST", "/tasks", wanted)
    assert (refused.status, refused.data["error"]["code"]) == (409, "budget_exceeded")
    assert samples(http)["khive_budget_state", "reviewer", "usd", "week"] == 2


def test_the_operators_page_holds_line_by_line(agents: AgentBench) -> None:
    """What docs/agents.md has an operator type, with a stand-in where Claude Code would be."""
    text = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
    port = str(free_port())
    walk = text.partition("## A role with Claude Code\n")[0].replace("8766", port)
    khive = agents.roles.khive
    agents.git("branch", "feature")
    agents.repository.rename(khive.home / "project")
    programs = khive.home / "bin"
    programs.mkdir()
    write_program(programs / "khive-supervisor", khive.argv)
    write_program(programs / "claude", [sys.executable, str(STAND_IN)])
    khive.env |= {"PATH": f"{programs}:{khive.env['PATH']}", "ANTHROPIC_API_KEY": "none"}
    printed: dict[str, str] = {}
    cwd = khive.home
    for language, block in re.findall(r"```(\w+)\n(.*?)```", walk, re.DOTALL)[1:]:
        if language == "toml":
            khive.configure(block)
            continue
        for line in re.findall(r"^\$ (.+)$", block, re.MULTILINE):
            if line.startswith("cd ~/"):
                cwd = khive.home / line.removeprefix("cd ~/")
                continue
            code = 2 if line.endswith("--dry-run") else 0  # it says that something would change
            printed[line.partition(" ")[2] or line] = typed(khive, line, cwd, code)
    assert "role reviewer" in printed["capabilities enable code-reviewer"].replace("\n", " ")
    assert "The memory says" in printed['assign --type code-review --wait "Review main..feature"']
    assert "done" in printed["tasks"]
    assert "$0.0125" in printed["budget reviewer"]
    assert "task.done" in printed["audit show --task t1"]
    assert f"http://127.0.0.1:{port}" in printed["http info"]
    assert "role reviewer: rolled" in printed["reload"]
    (metrics,) = (text for line, text in printed.items() if line.endswith("/metrics"))
    assert 'khive_budget_spent{role="reviewer",unit="usd",window="week"} 0.0125' in metrics


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def write_program(path: Path, words: list[str]) -> None:
    """A program that calls another one."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def typed(khive: Installation, line: str, cwd: Path, code: int) -> str:
    """What a line prints that somebody types."""
    done = subprocess.run(
        ["sh", "-c", line], env=khive.env, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}\n{khive.log_tail()}"
    return done.stdout


def states(reviewer: Reviewer) -> list[str]:
    """The states of the role's generations."""
    return sorted(one["state"] for one in reviewer.agents.roles.role("reviewer")["generations"])
