"""Show a coding agent as a role, from its task to its bill, with a reload while it works.

    python scripts/demo_agent.py                 # a stand-in, which needs no account
    python scripts/demo_agent.py claude          # Claude Code, with your login
    python scripts/demo_agent.py codex --sandbox workspace-write

Supervisor, store and repository lie in a temporary directory and go with it. A real agent costs
what one short task costs. Each command is shown as you would type it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-P", "-m", "khive_supervisor"]
STAND_IN = Path(__file__).with_name("agent_stand_in.py")
FACT = "The greeting in the file greeting.txt was written by Ada."
TASK = "Put a line with your opinion of the file greeting.txt below it, and commit the change."
FIRST = "You are a critic of greetings. Answer in one sentence."
SECOND = "You are a milder critic of greetings. Answer in one sentence."
CONFIGURATION = """\
embedder.kind = "none"
store.path = "khive.db"
log.file = "khive.log"
http.enabled = true
http.port = 0

[[roles]]
role = "critic"
task_types = ["critique"]
handler = {handler}
workdir = "worktree"
prompt = "{prompt}"
tools = ["Read", "Edit", "Write", "Bash(git:*)"]
env_allow = [
    "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "STAND_IN_GATE",
]
budget = {{ weekly = 5.0 }}
attempts = 1
"""
#: The metrics that are shown, of the many there are.
METRICS = ("khive_task_attempts_total{", "khive_budget_spent{", "khive_reloads_total{")
#: Seconds for what takes milliseconds on a machine that does nothing else.
DEADLINE = 60.0


class Example:
    """A supervisor with one role, and a repository to work on."""

    def __init__(self, directory: Path, agent: list[str]) -> None:
        self.directory = directory
        self.repository = directory / "repository"
        self.gate = directory / "gate"
        self.handler = f"{{ agent = {json.dumps(agent)} }}"
        if not agent:
            words = json.dumps([sys.executable, str(STAND_IN)])
            self.handler = f'{{ agent = {words}, format = "claude" }}'
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KHIVE_", "GIT_"))}
        self.environment = {
            **kept,
            "KHIVE_CONFIG": str(directory / "khive.toml"),
            "KHIVE_SOCKET": str(directory / "s"),
            "XDG_STATE_HOME": str(directory / "state"),
            "STAND_IN_GATE": str(self.gate),
        }
        self.configure(FIRST)

    def configure(self, prompt: str) -> None:
        """Write the configuration, with this prompt for the role."""
        text = CONFIGURATION.format(handler=self.handler, prompt=prompt)
        (self.directory / "khive.toml").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> str:
        """Run a command in the repository; what it prints."""
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=self.repository,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def khive(self, *words: str) -> str:
        """Run one of our commands."""
        return self.run(*COMMAND, *words)

    def show(self, *words: str) -> None:
        """Run one of our commands, and show it with what it prints."""
        print(f"\n$ khive-supervisor {shlex.join(words)}\n{self.khive(*words)}")

    def make_repository(self) -> None:
        """One file, one commit, by somebody who is nobody."""
        self.repository.mkdir()
        self.run("git", "init", "-q", "-b", "main")
        self.run("git", "config", "user.name", "Example")
        self.run("git", "config", "user.email", "example@localhost")
        (self.repository / "greeting.txt").write_text("Hello, whoever you are.\n")
        self.run("git", "add", ".")
        self.run("git", "commit", "-qm", "Greet")

    def task(self) -> dict[str, Any]:
        """The task as it is now."""
        return dict(json.loads(self.khive("task", "t1", "--json")))

    def generations(self) -> list[str]:
        """The states of the role's generations of workers."""
        (role,) = json.loads(self.khive("status", "--json"))["roles"]
        return [str(one["state"]) for one in role["generations"]]

    def metrics(self) -> list[str]:
        """Some of the lines that Prometheus would read."""
        url = json.loads(self.khive("http", "info", "--json"))["url"]
        bearer = {"Authorization": f"Bearer {self.khive('http', 'token')}"}
        request = urllib.request.Request(f"{url}/metrics", headers=bearer)
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            lines = answer.read().decode().splitlines()
        return [line for line in lines if line.startswith(METRICS) and not line.endswith(" 0.0")]


def show(agent: list[str]) -> int:
    """Do one task, and say what came of it; the exit code."""
    with tempfile.TemporaryDirectory(prefix="khive-") as directory:
        example = Example(Path(directory), agent)
        example.make_repository()
        example.khive("start", "--background", "--quiet")
        try:
            example.khive("remember", FACT)
            state = _work(example)
            _account(example)
        finally:
            example.khive("stop", "--sessions")
    return 0 if state == "done" else 1


def _work(example: Example) -> str:
    """Give the task, change the role while it is at work, and take what it has made."""
    _say("A task for the role, from a repository. It waits in the queue for a worker.")
    example.show("assign", "--role", "critic", TASK)
    while (task := example.task())["state"] == "queued":
        time.sleep(0.05)
    _say("The agent is at work. Its role gets another prompt: a new worker, and this one goes on.")
    example.configure(SECOND)
    with subprocess.Popen(
        [*COMMAND, "reload"], env=example.environment, stdout=subprocess.PIPE, text=True
    ) as reload:
        while reload.poll() is None and "draining" not in example.generations():
            time.sleep(0.05)
        example.gate.touch()  # what the stand-in waits for; a real agent takes its time by itself
        answer, _ = reload.communicate()
    print(f"\n$ khive-supervisor reload\n{answer.strip()}")
    while (task := example.task())["state"] in ("queued", "leased"):
        time.sleep(0.05)
    _tell(example, task)
    return str(task["state"])


def _tell(example: Example, task: dict[str, Any]) -> None:
    print(f"\n  the task is:         {task['state']}, in {task['attempts']}")
    if task["state"] != "done":
        print(f"  it says:             {task.get('error')}")
    result = task.get("result") or {}
    for name, value in result.items():
        print(f"  {name + ':':<20} {value!r}")
    left = task.get("worktree")
    if left:
        print(f"  its worktree has:    {left.get('commits', 0)} commit(s) on {left['branch']}")
        print(f"                       {left.get('diff', '')}")
        example.run("git", "merge", "-q", left["branch"])
        print(f"  merged, there is:    {(example.repository / 'greeting.txt').read_text()!r}")
    status = example.run("git", "status", "--porcelain")
    print(f"  the checkout was:    {status or 'never touched'}")


def _account(example: Example) -> None:
    """What it cost, what was done and by whom, and what a dashboard would show."""
    _say("What it cost, and what is left of the role's budget.")
    example.show("budget", "critic")
    _say("What was done, newest first; each entry holds the hash of the one before it.")
    example.show("audit", "show", "--task", "t1")
    example.show("audit", "show", "--kind", "configuration.reloaded")
    example.show("audit", "verify")
    _say("The same for Prometheus: GET /metrics, with the token of `http token`.")
    print("\n" + "\n".join(example.metrics()))


def _say(text: str) -> None:
    print(f"\n# {text}")


if __name__ == "__main__":
    sys.exit(show(sys.argv[1:]))
