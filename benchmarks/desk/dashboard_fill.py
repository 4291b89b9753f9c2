"""Fills a store of mcp-memory-service: run by the interpreter of its environment.

Each line of stdin is one content as JSON. Prints how many were stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys

#: Entries that are stored together.
_BATCH = 500


async def fill() -> int:
    """Store all, by the storage's own API."""
    from mcp_memory_service.models.memory import Memory
    from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage

    storage = SqliteVecMemoryStorage(os.environ["MCP_MEMORY_SQLITE_PATH"])
    await storage.initialize()
    texts = [json.loads(line) for line in sys.stdin]
    stored = 0
    for first in range(0, len(texts), _BATCH):
        memories = [
            Memory(text, hashlib.sha256(text.encode()).hexdigest(), ["decision"], "semantic")
            for text in texts[first : first + _BATCH]
        ]
        stored += sum(done for done, _ in await storage.store_batch(memories))
        print(f"{stored} stored", file=sys.stderr, flush=True)
    return stored


if __name__ == "__main__":
    print(asyncio.run(fill()))
