"""A stand-in for Claude Code: takes what it takes and prints what it prints, without a model.

It looks its task up in the memory that it is given, over MCP as an agent does. Where it finds a
greeting.txt it writes what it thinks of it and commits that. It needs no account and costs nothing,
but says that it did. STAND_IN_GATE, if it is set, names a file that it waits for before it answers;
the same name with `.waits` behind it exists once it does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OPINION = "The greeting is friendly."
COST = 0.0125


def recall(configuration: str, query: str) -> str:
    """What the memory says, asked as an MCP client asks."""
    server = json.loads(configuration)["mcpServers"]["khive"]
    environment = {**os.environ, **server["env"]}
    with subprocess.Popen(
        [server["command"], *server["args"]],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def send(method: str, params: dict[str, Any], number: int | None = None) -> None:
            message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
            if number is not None:
                message["id"] = number
            assert process.stdin is not None
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()

        def answer(number: int) -> dict[str, Any]:
            assert process.stdout is not None
            for line in process.stdout:
                message = json.loads(line)
                if message.get("id") == number:
                    return dict(message["result"])
            raise SystemExit("the memory does not answer")

        me = {"name": "stand-in", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": me}
        send("initialize", hello, 1)
        answer(1)
        send("notifications/initialized", {})
        send("tools/call", {"name": "memory_recall", "arguments": {"query": query}}, 2)
        found = answer(2)
        process.stdin.close()
    results = found["structuredContent"]["results"]
    return "; ".join(hit["content"] for hit in results) or "nothing"


def wait_for(gate: str) -> None:
    """Say that it waits, and wait until the file is there."""
    Path(f"{gate}.waits").touch()
    while not os.path.exists(gate):
        time.sleep(0.02)


def write_an_opinion() -> None:
    """Do what a reviewer of greetings does."""
    file = Path("greeting.txt")
    file.write_text(f"{file.read_text()}{OPINION}\n")
    subprocess.run(["git", "commit", "-qam", "Say what I think of the greeting"], check=True)


def main() -> None:
    """Do one task, and say so as Claude Code does."""
    parser = argparse.ArgumentParser(prog="agent_stand_in")
    parser.add_argument("--mcp-config", required=True)
    parser.add_argument("--append-system-prompt", default="")
    parser.add_argument("--session-id", default="")
    parser.add_argument("--resume", default="")
    given, _ = parser.parse_known_args()
    task = sys.stdin.read().strip()
    known = recall(given.mcp_config, task)
    if gate := os.environ.get("STAND_IN_GATE"):
        wait_for(gate)
    if os.path.exists("greeting.txt"):
        write_an_opinion()
    told = given.append_system_prompt.partition("\n")[0]
    text = f"I was told: {told}\nThe memory says: {known}"
    usage = {"input_tokens": 200, "output_tokens": 40}
    said = {
        "type": "result", "subtype": "success", "is_error": False, "result": text,
        "session_id": given.session_id or given.resume, "total_cost_usd": COST, "usage": usage,
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main()
