"""The inspector's command line, a client that others wrote, where it is installed.

`npm install node@22 @modelcontextprotocol/inspector` in any directory, and its `node_modules/.bin`
on the PATH, is all that it takes. Elsewhere there are no such tests, and one says so.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
from support import DEADLINE, Installation

#: The oldest node that the inspector runs on.
OLDEST_NODE = (22, 19)


def node_version() -> tuple[int, int] | None:
    """The version of the node on the PATH."""
    node = shutil.which("node")
    if node is None:
        return None
    text = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    found = re.match(r"v(\d+)\.(\d+)\.", text)
    return (int(found[1]), int(found[2])) if found else None


def inspectors() -> list[str]:
    """The inspector that can be run here: one, or none."""
    program = shutil.which("mcp-inspector")
    return [program] if program and (node_version() or (0, 0)) >= OLDEST_NODE else []


def inspect(khive: Installation, *words: str, era: str = "legacy", code: int = 0) -> dict[str, Any]:
    """Run the inspector against attach; what it prints."""
    server = {"command": khive.argv[0], "args": [*khive.argv[1:], "attach"], "protocolEra": era}
    file = khive.home / f"{era}.json"
    file.write_text(json.dumps({"mcpServers": {"khive": server}}))
    argv = [*inspectors(), "--cli", "--config", str(file), "--server", "khive"]
    done = subprocess.run(
        [*argv, *words, "--format", "json"],
        env=khive.env,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout)["result"])


def test_the_inspector_is_used_exactly_where_it_can_run() -> None:
    able = shutil.which("mcp-inspector") and (node_version() or (0, 0)) >= OLDEST_NODE
    assert len(inspectors()) == (1 if able else 0)


if inspectors():

    @pytest.mark.parametrize("era", ["legacy", "modern"])
    def test_the_inspector_lists_and_calls(shared: Installation, era: str) -> None:
        tools = inspect(shared, "--method", "tools/list", era=era)["tools"]
        assert {"memory_remember", "memory_recall", "khive_call"} <= {t["name"] for t in tools}
        call = ("--method", "tools/call", "--tool-name")
        content = f"said by the inspector ({era})"
        words = ("memory_remember", "--tool-arg", f"content={content}")
        stored = inspect(shared, *call, *words, era=era)
        assert stored["structuredContent"]["status"] == "stored"
        found = inspect(shared, *call, "memory_recall", "--tool-arg", "query=said", era=era)
        assert content in json.dumps(found)

    @pytest.mark.parametrize(
        "words", [("memory_get", 'ids=["m999"]'), ("memory_recall", "limit=0")]
    )
    def test_the_inspector_sees_an_error_as_one(
        shared: Installation, words: tuple[str, str]
    ) -> None:
        name, argument = words
        call = ("--method", "tools/call", "--tool-name", name, "--tool-arg", argument)
        assert inspect(shared, *call, code=5)["isError"] is True

    def test_the_inspector_finds_the_schemas_portable(shared: Installation) -> None:
        assert inspect(shared, "--method", "tools/list", "--strict")["tools"]
