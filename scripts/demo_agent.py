"""Show a coding agent as a role: a task, its worktree, its answer and what it cost.

    python scripts/demo_agent.py                 # a stand-in, which needs no account
    python scripts/demo_agent.py claude          # Claude Code, with your login
    python scripts/demo_agent.py codex --sandbox workspace-write

Supervisor, store and repository lie in a temporary directory and go with it. A real agent costs
what one short task costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-P", "-m", "khive_supervisor"]
TASK = "Put a line with your opinion of the file greeting.txt below it, and commit the change."
STAND_IN = """\
cat >/dev/null
echo "The greeting is friendly." >>greeting.txt
git commit -qam "Say what I think of the greeting"
echo "I have read it, and wrote my opinion below it."
"""
CONFIGURATION = """\
embedder.kind = "none"
store.path = "khive.db"
log.file = "khive.log"

[[roles]]
role = "critic"
task_types = ["critique"]
handler = {{ agent = {agent} }}
workdir = "worktree"
prompt = "You are a critic of greetings. Answer in one sentence."
tools = ["Read", "Edit", "Write", "Bash(git:*)"]
env_allow = ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "CODEX_HOME", "CLAUDE_CONFIG_DIR"]
attempts = 1
"""


class Example:
    """A supervisor with one role, and a repository to work on."""

    def __init__(self, directory: Path, agent: list[str]) -> None:
        self.directory = directory
        self.repository = directory / "repository"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KHIVE_", "GIT_"))}
        self.environment = {
            **kept,
            "KHIVE_CONFIG": str(directory / "khive.toml"),
            "KHIVE_SOCKET": str(directory / "s"),
            "XDG_STATE_HOME": str(directory / "state"),
        }
        text = CONFIGURATION.format(agent=json.dumps(agent))
        (directory / "khive.toml").write_text(text, encoding="utf-8")

    def run(self, *words: str, cwd: Path | None = None) -> str:
        """Run a command; what it prints."""
        done = subprocess.run(
            words, env=self.environment, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.strip()

    def git(self, *words: str) -> str:
        """Run git in the repository, as somebody who is nobody."""
        return self.run("git", *words, cwd=self.repository)

    def make_repository(self) -> None:
        """One file, one commit."""
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "Example")
        self.git("config", "user.email", "example@localhost")
        (self.repository / "greeting.txt").write_text("Hello, whoever you are.\n")
        self.git("add", ".")
        self.git("commit", "-qm", "Greet")

    def do(self) -> dict[str, Any]:
        """Give the task from the repository, and wait for its end."""
        words = [*COMMAND, "assign", "--role", "critic", "--wait", "--json", TASK]
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=self.repository,
            stdout=subprocess.PIPE,
            text=True,
            check=False,  # a task that fails is shown, too
        )
        return dict(json.loads(done.stdout))


def show(agent: list[str]) -> int:
    """Do one task, and say what came of it; the exit code."""
    with tempfile.TemporaryDirectory(prefix="khive-") as directory:
        example = Example(Path(directory), agent)
        example.make_repository()
        example.run(*COMMAND, "start", "--background", "--quiet")
        try:
            task = example.do()
            _tell(example, task)
        finally:
            example.run(*COMMAND, "stop", "--sessions")
    return 0 if task["state"] == "done" else 1


def _tell(example: Example, task: dict[str, Any]) -> None:
    print(f"  the task is:         {task['state']}, in {task['attempts']}")
    if task["state"] != "done":
        print(f"  it says:             {task.get('error')}")
    result = task.get("result") or {}
    for name, value in result.items():
        print(f"  {name + ':':<20} {value}")
    left = task.get("worktree")
    if left:
        print(f"  its worktree has:    {left.get('commits', 0)} commit(s) on {left['branch']}")
        print(f"                       {left.get('diff', '')}")
        example.git("merge", "-q", left["branch"])
        print(f"  merged, there is:    {(example.repository / 'greeting.txt').read_text()!r}")
    print(f"  the checkout was:    {example.git('status', '--porcelain') or 'never touched'}")


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(show(given or ["sh", "-c", STAND_IN]))
