"""The peer: a plain MCP server over stdio, with the same SDK, index, store and model in itself.

What a memory server is today: each session starts one, and each loads everything for itself. It
answers `initialize` before it loads anything, which is the best that such a server can do, and
loads at the first search.

    python plain_server.py --store FILE --index FILE
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

import mcp.types as types
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.stdio import stdio_server

#: Nodes that a search inspects: what the project's own index inspects for 100,000 items.
SEARCH_K = 18_000


class Memory:
    """Everything that a search needs, loaded when it is made."""

    def __init__(self, store: str, index: str) -> None:
        import apsw
        from annoy import AnnoyIndex

        from khive_supervisor.embed.minilm import MiniLM

        self._model = MiniLM()
        self._database = apsw.Connection(store, flags=apsw.SQLITE_OPEN_READONLY)
        self._index = AnnoyIndex(self._model.dimensions, "angular")
        self._index.load(index)

    def search(self, query: str, limit: int) -> list[dict[str, Any]]:
        """The entries nearest in meaning."""
        vector = self._model.embed_one(query).tolist()
        ids, distances = self._index.get_nns_by_vector(vector, limit, SEARCH_K, True)
        return [
            {"id": i, "score": 1 - d * d / 2, **self._entry(i)}
            for i, d in zip(ids, distances, strict=True)
        ]

    def _entry(self, number: int) -> dict[str, Any]:
        row = self._database.execute("SELECT title, content FROM entries WHERE id = ?", (number,))
        title, content = next(iter(row))
        return {"title": title, "content": content}


class Handlers:
    """What the server answers."""

    def __init__(self, store: str, index: str) -> None:
        self._places = (store, index)
        self._memory: Memory | None = None

    async def list_tools(self, _ctx: Any, _params: Any) -> types.ListToolsResult:
        """The one tool."""
        schema = {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["query"],
        }
        return types.ListToolsResult(tools=[types.Tool(name="search", input_schema=schema)])

    async def call_tool(
        self, _ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Search."""
        if self._memory is None:
            self._memory = Memory(*self._places)
        arguments = params.arguments or {}
        found = self._memory.search(arguments["query"], arguments.get("limit", 10))
        return types.CallToolResult(content=[], structured_content={"results": found})


async def serve(store: str, index: str) -> None:
    """Serve on stdin and stdout until the client leaves."""
    handlers = Handlers(store, index)
    server: Server[Any] = Server(
        "plain", on_list_tools=handlers.list_tools, on_call_tool=handlers.call_tool
    )
    options = server.create_initialization_options(NotificationOptions())
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, options)


def main(argv: list[str]) -> None:
    """The command line above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--index", required=True)
    options = parser.parse_args(argv)
    asyncio.run(serve(options.store, options.index))


if __name__ == "__main__":
    main(sys.argv[1:])
