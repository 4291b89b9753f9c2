"""Run the supervisor; show two MCP sessions sharing one memory by meaning, roles and a workflow.

The example lives in the namespace `example` and is forgotten again at the end; those of the roles
and of the workflow have a directory and a supervisor of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from types import FrameType

import demo_role
import demo_workflow
import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

COMMAND = [sys.executable, "-P", "-m", "khive_supervisor"]
FACT = "Releases are cut on Thursdays, because the support desk is fully staffed on Fridays."
QUESTION = "Which weekday do we ship a new version, and why?"
#: Seconds between two looks whether the supervisor is still there; a look at /proc costs nothing.
LOOK_EVERY = 1.0
LINUX = sys.platform == "linux"


def session() -> mcp.Client:
    """An MCP client with a session of its own: what Claude Code or Codex would start."""
    environment = {**os.environ, "KHIVE_NAMESPACE": "example"}
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "attach"], env=environment
    )
    return mcp.Client(stdio_client(server))


async def show() -> None:
    """Store in one session, find in the other."""
    async with session() as first, session() as second:
        stored = await first.call_tool("memory_remember", {"content": FACT})
        assert stored.structured_content is not None
        print(f"\n  session 1 remembers: {FACT}")
        found = await second.call_tool("memory_recall", {"query": QUESTION, "limit": 1})
        assert found.structured_content is not None
        (result,) = found.structured_content["results"]
        print(f"  session 2 asks:      {QUESTION}")
        print(f"  session 2 is told:   {result['content']}")
        print(f"                       (fits {result['score']:.2f})\n")
        await first.call_tool("memory_forget", {"ids": [stored.structured_content["id"]]})
        assert result["content"] == FACT


def main() -> int:
    """Start it, show the example, and stay until told to stop."""
    background = "--background" in sys.argv[1:]
    was_running = supervisor() is not None
    started = subprocess.run([*COMMAND, "start", "--background"], check=False).returncode
    if started:
        return started
    asyncio.run(show())
    demo_role.show()
    demo_workflow.show()
    if background or was_running:
        print("The supervisor goes on in the background; `khive-supervisor stop` ends it.")
        print(f"The command is {os.path.dirname(sys.executable)}/khive-supervisor.")
        print(f"Look at it:    {os.path.dirname(sys.executable)}/khive-supervisor open", flush=True)
        return 0
    return wait()


def supervisor() -> int | None:
    """Return the process of the supervisor that answers; None if there is none."""
    asked = subprocess.run([*COMMAND, "status", "--json"], capture_output=True, check=False)
    return int(json.loads(asked.stdout)["pid"]) if asked.returncode == 0 else None


def watch(log: subprocess.Popen[bytes]) -> int:
    """Wait until nobody is at work any more, or the log cannot be followed."""
    while (pid := supervisor()) is not None:
        while os.path.exists(f"/proc/{pid}") if LINUX else supervisor() == pid:
            try:
                return log.wait(timeout=LOOK_EVERY)
            except subprocess.TimeoutExpired:
                continue
    print("The supervisor was stopped elsewhere; `scripts/start` starts one again.", flush=True)
    log.terminate()
    log.wait()
    return 0


def wait() -> int:
    """Follow the log until Ctrl-C, then stop the supervisor; or until somebody else stops it."""
    print("Ready. Ctrl-C stops the supervisor; its log follows.")
    print(f"Look at it: {os.path.dirname(sys.executable)}/khive-supervisor open", flush=True)

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    log = subprocess.Popen([*COMMAND, "logs", "--follow", "-n", "0"], start_new_session=True)
    try:
        return watch(log)
    except KeyboardInterrupt:
        log.terminate()
        log.wait()
        return subprocess.run([*COMMAND, "stop"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
