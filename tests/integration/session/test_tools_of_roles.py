"""Tools for tasks come and go with the roles of the configuration, also in a session that lives."""

from __future__ import annotations

import asyncio
from typing import Any

import mcp
import mcp.types as types
import pytest
from mcp.client.stdio import stdio_client
from mcp.client.subscriptions import ToolsListChanged
from support import DEADLINE, Installation, run

WITHOUT = '[embedder]\nkind = "none"\n'
WITH = f"""{WITHOUT}
[[roles]]
role = "reviewer"
task_types = ["review"]
handler = {{ command = ["true"] }}
"""
TASKS = {"agents_assign", "agents_wait"}


async def names(client: mcp.Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


async def reload(khive: Installation, configuration: str) -> None:
    khive.configure(configuration)
    await asyncio.to_thread(khive.run, "reload")


# The client of today still speaks the era before it, and says that it is over.
@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_a_client_of_the_handshake_era_hears_of_it(khive: Installation) -> None:
    khive.configure(WITHOUT)
    khive.start()
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def main() -> None:
        transport = stdio_client(khive.parameters())
        async with mcp.Client(transport, mode="legacy", message_handler=heard.put) as client:
            assert client.server_capabilities.tools == types.ToolsCapability(list_changed=True)
            assert not TASKS & await names(client)
            for configuration, there in ((WITH, TASKS), (WITHOUT, set())):
                await reload(khive, configuration)
                message = await asyncio.wait_for(heard.get(), DEADLINE)
                assert isinstance(message, types.ToolListChangedNotification)
                assert TASKS & await names(client) == there

    run(main())


def test_a_client_of_today_hears_of_it_on_its_stream(khive: Installation) -> None:
    khive.configure(WITH)
    khive.start()

    async def main() -> None:
        async with khive.session("auto") as client:
            assert await names(client) >= TASKS
            async with client.listen(tools_list_changed=True) as stream:
                await reload(khive, WITHOUT)
                event = await asyncio.wait_for(anext(stream), DEADLINE)
                assert event == ToolsListChanged()
            assert not TASKS & await names(client)
        async with khive.session("auto") as client:
            assert not TASKS & await names(client)

    run(main())
