"""Claude Code and Codex themselves, with a model on loopback, in worktrees, with this memory.

They are installed once with npm, which takes a few hundred megabytes; KHIVE_TEST_AGENTS names a
directory in which that was done before (with `node_modules`), or is empty for no such tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from agent_support import AgentBench, real_agents
from model_endpoint import Endpoint, serving
from role_support import bench, table
from support import DEADLINE, Installation

from khive_supervisor.agents import formats
from khive_supervisor.agents.model import AgentAnswer, AgentOutput, Ask, Server
from khive_supervisor.config.settings.handler import Handler
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.tasks.model import DONE, Task

FACT = "The teapot is kept behind the blue encyclopedia."


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    directory = tmp_path_factory.mktemp("agents")
    try:
        yield real_agents(directory)
    except LookupError as error:
        pytest.skip(str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # pytest keeps what is there for some runs


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(query="teapot") as made:
        yield made


@pytest.fixture
def agents(khive: Installation, endpoint: Endpoint) -> Iterator[AgentBench]:
    khive.env |= {"ANTHROPIC_BASE_URL": endpoint.url, "ANTHROPIC_API_KEY": "none"}
    khive.env |= {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    home = khive.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text(
        'model_provider = "mock"\n[model_providers.mock]\nname = "mock"\nwire_api = "responses"\n'
        f'base_url = "{endpoint.url}/v1"\n'
    )
    with bench(khive) as roles:
        made = AgentBench(roles)
        made.make_repository()
        yield made


ALLOWED = [
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_AUTOUPDATER",
]


def do(agents: AgentBench, program: str, model: str) -> Task:
    """Have a task done by a real agent that reads the memory."""
    keys: dict[str, Any] = {"workdir": "worktree", "prompt": "You review.", "model": model}
    keys |= {"env_allow": ALLOWED, "attempts": 1}
    agents.roles.configure(table("dev", f'handler = {{ agent = ["{program}"] }}', keys))
    agents.roles.khive.start()
    agents.roles.khive.call("memory.remember", content=FACT)
    args = {"role": "dev", "payload": "Where is the teapot?", "cwd": str(agents.repository)}
    given = agents.roles.khive.call_from(str(agents.repository), "agents.assign", **args)
    return agents.roles.ended(int(given["task"][1:]))


def check(agents: AgentBench, task: Task, endpoint: Endpoint) -> None:
    """It read the memory in a worktree, which is gone since nothing was done in it."""
    assert task.state == DONE, f"{task.error}\n{task.log_tail}\n{agents.roles.khive.log_tail()}"
    assert FACT in task.result["text"]
    assert task.result["session"] == task.agent_session.partition(":")[2]
    assert task.place is None
    asked = str(endpoint.asked)
    assert "You review." in asked
    assert "Where is the teapot?" in asked
    assert f"/t{task.id}/tree" in asked
    assert agents.git("for-each-ref", "--format=%(refname:short)", "refs/heads") == "main"


def test_claude_code_reads_the_memory_in_a_worktree(
    agents: AgentBench, programs: dict[str, str], endpoint: Endpoint
) -> None:
    task = do(agents, programs["claude"], "sonnet")
    check(agents, task, endpoint)
    assert task.result["usage"]["tokens"] == 240
    assert task.result["usage"]["cost"] > 0


def test_codex_reads_the_memory_in_a_worktree(
    agents: AgentBench, programs: dict[str, str], endpoint: Endpoint
) -> None:
    task = do(agents, programs["codex"], "gpt")
    check(agents, task, endpoint)
    assert task.result["usage"] == {"cost": 0, "tokens": 240}


def test_codex_that_asks_nobody_keeps_its_own_memory_right(
    agents: AgentBench, programs: dict[str, str], endpoint: Endpoint
) -> None:
    khive = agents.roles.khive
    config = khive.home / ".codex" / "config.toml"
    served = (
        f"[mcp_servers.khive]\ncommand = {json.dumps(khive.argv[0])}\n"
        f"args = {json.dumps([*khive.argv[1:], 'attach'])}\nstartup_timeout_sec = 30\n"
        f"env = {{ PYTHONPATH = {json.dumps(khive.env['PYTHONPATH'])} }}\n"
    )
    config.write_text(f'approval_policy = "never"\n{config.read_text()}{served}')
    khive.start()
    endpoint.steps = [
        ("memory_remember", {"content": FACT}),
        ("memory_recall", {"query": "teapot"}),
        ("memory_supersede", {"id": "m1", "content": "The teapot is in the attic."}),
        ("memory_forget", {"ids": ["m2"]}),
        ("khive_call", {"verb": "memory.list"}),
    ]
    subprocess.run(
        [programs["codex"], "exec", "-m", "gpt", "--skip-git-repo-check", "Tidy up"],
        stdin=subprocess.DEVNULL, env=khive.env, cwd=agents.repository, capture_output=True,
        timeout=DEADLINE, check=True,
    )  # fmt: skip
    outputs = [
        str(item["output"])
        for item in endpoint.asked[-1]["input"]
        if item.get("type") == "function_call_output"
    ]
    said = ("stored", FACT, '"supersedes":"m1"', '"forgotten":["m2"]', "requires approval")
    assert all(one in output for one, output in zip(said, outputs, strict=True)), outputs


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_real_session_is_resumed_and_a_lost_one_noticed(
    agents: AgentBench, programs: dict[str, str], endpoint: Endpoint, name: str
) -> None:
    """What the readers hold to be so of counts, of second calls and of sessions that are gone."""
    khive = agents.roles.khive
    form = formats.FORMATS[name]
    handler = Handler(agent=(programs[name],))
    role = Role(role="dev", task_types=("dev",), handler=handler, model="sonnet")
    served = Server((*khive.argv, "attach"), {"PYTHONPATH": khive.env["PYTHONPATH"]})

    def run(resume: str, counted: int) -> AgentAnswer:
        call = form.call(Ask(role, "Say it", served, resume, str(uuid.uuid4())))
        done = subprocess.run(
            [programs[name], *call.arguments],
            input=call.stdin,
            env=khive.env,
            cwd=agents.repository,
            capture_output=True,
            timeout=DEADLINE,
        )
        said = AgentOutput(done.returncode, done.stdout.decode(), done.stderr.decode())
        return form.read(said, counted)

    khive.start()
    first = run("", 0)
    assert not first.error
    again = run(first.session, first.counted)
    assert (again.error, again.session) == ("", first.session)
    assert first.usage is not None
    assert again.usage is not None
    assert (first.usage.tokens, again.usage.tokens) in ((240, 240), (240, 120))
    assert "Say it" in str(endpoint.asked[-1]).partition("Say it")[2]  # both are in the last one
    assert run(str(uuid.uuid4()), 0).lost
