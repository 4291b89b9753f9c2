"""The list of tools: few, short, the same for all, and others only where there are roles."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import mcp.types as types
import pytest
from khive_workers.mcp.server import McpServer
from khive_workers.mcp.tools import INSTRUCTIONS, ToolList, listed_schema

from khive_supervisor.access.grant import AGENT
from khive_supervisor.packs import loading
from khive_supervisor.verbs.registry import Pack, Registry, Verb

REGISTRY = loading.load()
#: Tools that are listed at most, and tokens that they may cost with the instructions, at four
#: characters a token.
MOST_TOOLS, MOST_TOKENS, TOKEN = 9, 1800, 4


def listed(*, roles: bool, registry: Registry = REGISTRY) -> list[types.Tool]:
    tools = ToolList(registry)
    tools.roles = roles
    return tools.of(AGENT)


@pytest.mark.parametrize("roles", [False, True])
def test_tools_and_instructions_are_few_and_short(*, roles: bool) -> None:
    tools = listed(roles=roles)
    characters = sum(
        len(tool.name) + len(tool.description or "") + len(json.dumps(tool.input_schema))
        for tool in tools
    )
    assert len(tools) <= MOST_TOOLS
    assert (characters + len(INSTRUCTIONS)) / TOKEN <= MOST_TOKENS


def test_tasks_are_offered_only_where_there_is_somebody_to_do_them() -> None:
    def names(*, roles: bool) -> set[str]:
        return {tool.name for tool in listed(roles=roles)}

    assert names(roles=True) - names(roles=False) == {"agents_assign", "agents_wait"}
    assert names(roles=False) - names(roles=True) == {"brain_feedback"}


def test_the_instructions_name_tools_that_are_always_there() -> None:
    words = {word.strip(".,;:()") for word in INSTRUCTIONS.split()}
    named = {word for word in words if word.startswith(("memory_", "khive_"))}
    assert named
    for roles in (False, True):
        assert named <= {tool.name for tool in listed(roles=roles)}


def test_every_description_says_when_to_call_it() -> None:
    for tool in listed(roles=False):
        if tool.name.startswith(("memory_", "brain_")):
            assert "Call it" in (tool.description or "")


def test_a_listed_schema_leaves_out_what_is_rare_and_what_only_bounds() -> None:
    verb = Verb(
        "test.echo",
        "Echoes.",
        lambda _context, args: args,
        {
            "often": {"type": "integer", "minimum": 1, "description": "How often."},
            "names": {"type": "array", "maxItems": 3, "items": {"type": "string", "minLength": 1}},
            "more": {"type": "object", "properties": {"maximum": {"type": "string"}}},
            "seldom": {"type": "string"},
        },
        ("often",),
        rare=frozenset(["seldom"]),
    )
    assert listed_schema(verb) == {
        "type": "object",
        "properties": {
            "often": {"type": "integer", "description": "How often."},
            "names": {"type": "array", "items": {"type": "string"}},
            "more": {"type": "object", "properties": {"maximum": {"type": "string"}}},
        },
        "required": ["often"],
    }


def test_what_is_rare_is_optional_and_an_argument() -> None:
    for verb in REGISTRY:
        assert verb.rare <= set(verb.properties) - set(verb.required)
        assert verb.tool or not verb.rare


def test_the_door_names_packs_of_others() -> None:
    foreign = Pack("standup", "Notes.", (Verb("standup.done", "Notes.", lambda _c, a: a),))
    (door,) = (
        tool
        for tool in listed(roles=False, registry=Registry([*loading.BUILTIN, foreign]))
        if tool.name == "khive_call"
    )
    assert "; standup." in (door.description or "")


class Client:
    """A client's session of the handshake era: which lists it heard to be others."""

    def __init__(self) -> None:
        self.protocol_version = "2025-06-18"
        self.client_params = None
        self.told: list[str] = []

    async def send_tool_list_changed(self) -> None:
        self.told.append("tools")

    async def send_resource_list_changed(self) -> None:
        self.told.append("resources")


def test_clients_hear_that_there_are_roles_now() -> None:
    server = McpServer(Registry([]))
    client = Client()
    ctx: Any = SimpleNamespace(session=client)

    async def main() -> None:
        server.roles_are(True)  # nobody has looked at the list yet
        await asyncio.sleep(0)
        await server._list_tools(ctx, None)
        for configured in (True, "yes", None, False, False, True):
            server.roles_are(configured)
            await asyncio.sleep(0)
        await server.resources.changed(["profiles"])  # it has not looked at that list

    asyncio.run(main())
    assert client.told == ["tools", "tools"]
