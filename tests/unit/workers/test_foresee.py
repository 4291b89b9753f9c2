"""What a session begins before a call is understood: hints only, whatever the call holds."""

from __future__ import annotations

from typing import Any

import pytest
from khive_workers.mcp.server import McpServer
from mcp.types import JSONRPCRequest

from khive_supervisor.packs import loading


class FakeContext:
    """Notes what will be searched for."""

    def __init__(self) -> None:
        self.foreseen: list[str] = []

    def foresee(self, query: str) -> None:
        self.foreseen.append(query)


def call(name: object, arguments: object, method: str = "tools/call") -> JSONRPCRequest:
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    return JSONRPCRequest(jsonrpc="2.0", id=1, method=method, params=params)


@pytest.mark.parametrize(
    ("request_", "foreseen"),
    [
        (call("memory_recall", {"query": "a fix", "limit": 3}), ["a fix"]),
        (call("knowledge_search", {"query": "a fix"}), ["a fix"]),
        (call("knowledge_suggest", {"task": "a task"}), ["a task"]),
        (call("knowledge_suggest", {"query": "not its argument"}), []),
        (call("memory_recall", {"query": ["no text"]}), []),
        (call("memory_recall", None), []),
        (call(None, {"query": "a fix"}), []),
        (call(["memory_recall"], "nonsense"), []),
        (call("memory_remember", {"content": "a fix"}), []),
        (call("memory_recall", {"query": "a fix"}, method="ping"), []),
        (JSONRPCRequest(jsonrpc="2.0", id=1, method="tools/call"), []),
    ],
)
def test_only_what_is_searched_for_is_foreseen(
    request_: JSONRPCRequest, foreseen: list[str]
) -> None:
    server, context = McpServer(loading.load()), FakeContext()
    server.foresee(request_)  # before the session is ready: nothing
    server.runtime.context = context  # type: ignore[assignment]  # a fake
    server.foresee(request_)
    assert context.foreseen == foreseen
