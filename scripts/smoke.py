"""Does an installed wheel work? Run with its interpreter, from any directory, with any HOME."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LINES = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "smoke", "version": "1"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {
            "name": "memory_recall",
            "arguments": {"query": "which weekday is a new version shipped"},
        },
    },
)


def main() -> None:
    """Start, remember, recall by meaning over MCP, check the model, stop; nothing stays behind."""
    script = Path(sys.executable).parent / "khive-supervisor"
    with tempfile.TemporaryDirectory() as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KHIVE_", "XDG_", "PY"))}
        env = {**kept, "HOME": home}

        def run(*words: str, stdin: str = "") -> str:
            done = subprocess.run(
                [str(script), *words],
                env=env,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
            return done.stdout

        run("start", "--background")
        try:
            run("remember", "Releases are cut on Thursdays.")
            output = run("attach", stdin="".join(json.dumps(line) + "\n" for line in LINES))
            answers: dict[Any, Any] = {
                message.get("id"): message for message in map(json.loads, output.splitlines())
            }
            (result,) = answers[2]["result"]["structuredContent"]["results"]
            assert result["content"] == "Releases are cut on Thursdays.", result
            assert json.loads(run("status", "--json"))["state"] == "ready"
        finally:
            run("stop", "--sessions")
        # What a supervisor asks of a release before it gives way to it; extras are not installed.
        trial = subprocess.run(
            [sys.executable, "-P", "-m", "khive_supervisor.supervision.probe"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert json.loads(trial.stdout)["problems"] == [], (trial.stdout, trial.stderr)
    print("smoke: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
