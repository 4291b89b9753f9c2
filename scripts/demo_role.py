"""Show a role whose handler is replaced while it works, in a supervisor of its own.

Everything lies in a temporary directory, socket and store included, and goes with it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

COMMAND = [sys.executable, "-P", "-m", "khive_supervisor"]
CONFIGURATION = """\
embedder.kind = "none"
store.path = "khive.db"
log.file = "khive.log"

[[roles]]
role = "porter"
task_types = ["greeting"]
workers = 2
handler = {{ python = "porter:{function}" }}
cwd = "."
"""
HANDLER = '''\
def {function}(context, payload):
    """Done by two processes, a tenth of a second each."""
    context.cancelled.wait(0.1)
    return f"{words}, {{payload}}!"
'''


class Example:
    """A supervisor with one role; its handler can be edited."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = {k: v for k, v in os.environ.items() if not k.startswith("KHIVE_")}
        self.environment = {
            **kept,
            "KHIVE_CONFIG": str(directory / "khive.toml"),
            "KHIVE_SOCKET": str(directory / "s"),
        }

    def edit(self, function: str, words: str) -> None:
        """Write a handler, and the configuration that names it."""
        source = HANDLER.format(function=function, words=words)
        (self.directory / "porter.py").write_text(source, encoding="utf-8")
        text = CONFIGURATION.format(function=function)
        (self.directory / "khive.toml").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> None:
        """Run a command that must succeed."""
        subprocess.run([*COMMAND, *words], env=self.environment, check=True, stdout=2)

    def run_quietly(self, *words: str) -> None:
        """Run a command that must succeed, and show nothing of what it says."""
        run = subprocess.run
        run([*COMMAND, *words], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def session(self) -> mcp.Client:
        """A client with a session of this supervisor."""
        server = StdioServerParameters(
            command=COMMAND[0], args=[*COMMAND[1:], "attach"], env=self.environment
        )
        return mcp.Client(stdio_client(server))

    async def reload(self) -> int:
        """Ask for a reload, and wait until it is over; the exit code."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "reload", env=self.environment, stdout=subprocess.DEVNULL
        )
        return await process.wait()


def show() -> None:
    """Give tasks, edit the handler and reload meanwhile, and say who did what."""
    with tempfile.TemporaryDirectory(prefix="khive-") as directory:
        example = Example(Path(directory))
        example.edit("greet", "Hello")
        example.run("start", "--background", "--quiet")
        try:
            asyncio.run(_work(example))
        finally:
            example.run_quietly("stop", "--sessions")


async def _work(example: Example) -> None:
    async with example.session() as session:
        numbers = [await _assign(session, f"guest {n}") for n in range(1, 5)]
        example.edit("welcome", "Welcome")
        reload = asyncio.create_task(example.reload())
        while not reload.done():
            numbers.append(await _assign(session, f"guest {len(numbers) + 1}"))
            await asyncio.wait([reload], timeout=0.1)
        results = [await _result(session, number) for number in numbers]
        assert await reload == 0
    print(f"  a role is given:     {len(results)} tasks; its handler is edited and reloaded")
    for number, words in enumerate(("Hello", "Welcome"), 1):
        done = [result for result in results if result.startswith(words)]
        assert done, results
        print(f"  generation {number} did:    {len(done)}, the last one: {done[-1]}")
    print("                       (each was done once; none was lost)\n")


async def _assign(session: mcp.Client, payload: str) -> str:
    given = await session.call_tool("agents_assign", {"role": "porter", "payload": payload})
    assert given.structured_content is not None
    return str(given.structured_content["task"])


async def _result(session: mcp.Client, number: str) -> str:
    await session.call_tool("agents_wait", {"task": number})
    # Not one of the tools that are listed: the door to all verbs has it.
    asked = {"verb": "agents.task", "args": {"task": number}}
    found = await session.call_tool("khive_call", asked)
    assert found.structured_content is not None
    assert found.structured_content["attempts"].startswith("1 of"), found.structured_content
    return str(found.structured_content["result"])
