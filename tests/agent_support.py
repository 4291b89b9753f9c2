"""Agents under test: small ones that print what the real ones print, and the real ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from role_support import RoleBench, table

#: A fake of each agent. It notes how it was called, and does what its prompt says: a JSON object.
FAKE = r"""#!{python}
import json, os, signal, sys
name = os.path.basename(sys.argv[0])
text = sys.stdin.read()
calls = os.path.join(os.path.dirname(sys.argv[0]), name + "-calls")
with open(calls, "a") as file:
    entry = {"argv": sys.argv[1:], "stdin": text, "cwd": os.getcwd(), "env": dict(os.environ)}
    file.write(json.dumps(entry) + "\n")
with open(calls) as file:
    count = len(file.readlines())
steps = json.loads(text)
do = steps[min(count, len(steps)) - 1]
words = sys.argv[1:]
if do.get("lost") and ("--resume" in words or "resume" in words):
    print("No conversation found with session ID: x; no rollout found", file=sys.stderr)
    sys.exit(1)
if "write" in do:
    with open(do["write"], "w") as file:
        file.write("written\n")
if "git" in do:
    import subprocess
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run(["git", "commit", "-qm", do["git"]], check=True)
if name == "claude":
    flag = "--resume" if "--resume" in words else "--session-id"
    session = words[words.index(flag) + 1]
else:
    session = words[words.index("resume") + 1] if "resume" in words else "thread-1"
    print(json.dumps({"type": "thread.started", "thread_id": session}), flush=True)
if do.get("hang"):
    open(do["hang"], "w").write(str(os.getpid()))
    signal.pause()
if do.get("die"):
    os.kill(os.getpid(), signal.SIGKILL)
if "raw" in do:
    print(do["raw"] * do.get("times", 1))
    sys.exit(0)
failed = "error" in do
if name == "claude":
    print(json.dumps({
        "type": "result", "subtype": "success", "is_error": failed,
        "api_error_status": do.get("status"), "result": do.get("error") or do.get("say", "done"),
        "session_id": session, "total_cost_usd": 0.5,
        "usage": {"input_tokens": 10, "output_tokens": 5}}))
elif failed:
    print(json.dumps({"type": "turn.failed", "error": {"message": do["error"]}}))
else:
    item = {"type": "agent_message", "text": do.get("say", "done")}
    print(json.dumps({"type": "item.completed", "item": item}))
    usage = {"input_tokens": do.get("tokens", 10), "output_tokens": 0}
    print(json.dumps({"type": "turn.completed", "usage": usage}))
sys.exit(1 if failed else 0)
"""

#: Seconds that installing the real agents may take.
INSTALL = 300


class AgentBench:
    """A bench of roles with agents, and a repository that tasks are assigned from."""

    def __init__(self, roles: RoleBench) -> None:
        self.roles = roles
        self.bin = roles.khive.home / "agents"
        self.repository = roles.khive.home / "repository"

    def fake(self, name: str, role: str = "dev", **keys: Any) -> str:
        """A role with a fake agent."""
        self.bin.mkdir(exist_ok=True)
        program = self.bin / name
        program.write_text(FAKE.replace("{python}", sys.executable))
        program.chmod(0o755)
        return table(role, f'handler = {{ agent = ["{program}"] }}', keys)

    def calls(self, name: str) -> list[dict[str, Any]]:
        """How a fake was called."""
        return [json.loads(line) for line in (self.bin / f"{name}-calls").read_text().splitlines()]

    def git(self, *words: str, cwd: str | Path | None = None) -> str:
        """Run git as the caller."""
        done = subprocess.run(
            ["git", *words],
            cwd=cwd or self.repository,
            env={**self.roles.khive.env, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def make_repository(self) -> None:
        """A repository with one commit."""
        self.repository.mkdir()
        home = self.roles.khive.home
        (home / ".gitconfig").write_text("[user]\nname = n\nemail = e@x\n")
        self.git("init", "-q", "-b", "main")
        (self.repository / "file").write_text("one\n")
        self.git("add", "file")
        self.git("commit", "-qm", "first")

    def assign(self, role: str, *steps: dict[str, Any], cwd: Path | None = None) -> int:
        """Queue a task for a fake: a step for each time that it is called."""
        args = {"role": role, "payload": json.dumps(steps)}
        here = str(cwd or self.repository)
        given = self.roles.khive.call_from(here, "agents.assign", cwd=here, **args)
        return int(given["task"].removeprefix("t"))


#: The package of each program, and what it would run after its installation.
PACKAGES = {
    "claude": ("@anthropic-ai/claude-code", "install.cjs"),
    "codex": ("@openai/codex", ""),
    "opencode": ("opencode-ai", "postinstall.mjs"),
}


def real_agents(directory: Path, *names: str) -> dict[str, str]:
    """The real agents' programs: those that are there already, or installed into a directory.

    `names`: which ones; Claude Code and Codex unless others are named.

    Raises:
        LookupError: they cannot be had here; the text says why.
    """
    names = names or ("claude", "codex")
    present = os.environ.get("KHIVE_TEST_AGENTS")
    if present == "":
        raise LookupError("KHIVE_TEST_AGENTS is empty: agents are not to be installed")
    if present is None:
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise LookupError("there is no node with npm to install agents with")
        _install(directory, names)
    bin_directory = Path(present or directory) / "node_modules" / ".bin"
    programs = {name: str(bin_directory / name) for name in names}
    for name, program in programs.items():
        if not os.access(program, os.X_OK):
            raise LookupError(f"there is no {name} in {bin_directory}")
    return programs


def _install(directory: Path, names: Sequence[str]) -> None:
    # Its cache goes with the rest; its settings stay the user's, who may need a proxy.
    environ = {**os.environ, "npm_config_cache": str(directory / "cache")}
    packages = [PACKAGES[name][0] for name in names]
    options = ("--no-audit", "--no-fund", "--ignore-scripts")
    try:
        subprocess.run(
            ["npm", "install", *options, *packages],
            cwd=directory,
            env=environ,
            capture_output=True,
            timeout=INSTALL,
            check=True,
        )
        # What its package would run after its installation, and nothing else's.
        for package, script in (PACKAGES[name] for name in names):
            if script:
                subprocess.run(
                    ["node", script],
                    cwd=directory / "node_modules" / package,
                    capture_output=True,
                    timeout=INSTALL,
                    check=True,
                )
    except (OSError, subprocess.SubprocessError) as error:
        raise LookupError(f"npm could not install them: {error}") from error
