"""Prompts, completion and resources of memories, by the official client in both eras."""

from __future__ import annotations

import mcp
import mcp.types as types
import pytest
from support import Installation, run

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
FACT = "The teapot is kept behind the blue encyclopedia."


async def text_of(client: mcp.Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, types.TextResourceContents)
    assert content.mime_type == "text/markdown"
    return content.text


@MODES
def test_a_memory_is_had_by_prompts_and_as_a_resource(khive: Installation, mode: str) -> None:
    async def main() -> None:
        async with khive.session(mode) as client:
            capabilities = client.server_capabilities
            assert capabilities.prompts is not None
            assert capabilities.completions is not None
            stored = await client.call_tool("memory_remember", {"content": FACT, "tags": ["tea"]})
            number = (stored.structured_content or {})["id"]
            names = [prompt.name for prompt in (await client.list_prompts()).prompts]
            assert names == ["brief", "remember", "recall", "review"]
            for name, arguments in (("brief", {}), ("recall", {"query": "teapot"}), ("review", {})):
                (message,) = (await client.get_prompt(name, arguments)).messages
                assert isinstance(message.content, types.TextContent)
                assert FACT in message.content.text
            assert FACT in await text_of(client, "khive://brief")
            assert FACT in await text_of(client, f"khive://memory/{number}")
            for uri in ("khive://memory/m999", "khive://memory/x", "khive://memory/"):
                with pytest.raises(mcp.MCPError) as refused:
                    await client.read_resource(uri)
                assert refused.value.error.code == types.INVALID_PARAMS
            with pytest.raises(mcp.MCPError, match="There is no prompt"):
                await client.get_prompt("dance")
            with pytest.raises(mcp.MCPError, match="needs query"):
                await client.get_prompt("recall", {})

    khive.start()
    run(main())


@MODES
def test_what_is_typed_is_completed(khive: Installation, mode: str) -> None:
    async def main() -> None:
        async with khive.session(mode) as client:
            await client.call_tool("memory_remember", {"content": FACT, "tags": ["teatime", "x"]})
            prompt = types.PromptReference(type="ref/prompt", name="recall")
            found = await client.complete(prompt, {"name": "tag", "value": "te"})
            assert found.completion.values == ["teatime"]
            template = types.ResourceTemplateReference(
                type="ref/resource", uri="khive://memory/{id}"
            )
            found = await client.complete(template, {"name": "id", "value": "m"})
            assert found.completion.values == ["m1"]

    khive.start()
    run(main())
