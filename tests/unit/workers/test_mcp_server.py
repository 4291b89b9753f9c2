"""The MCP server: tools, doors to other verbs, errors that a model reads, and calls that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import mcp.types as types
import pytest
from khive_workers.common.verb_thread import VerbThread
from khive_workers.mcp import server as mcp_server
from khive_workers.mcp.server import McpServer, answer_of, describe_verbs

from khive_supervisor import __version__
from khive_supervisor.access.grant import AGENT, OPERATOR, Audience, Grant
from khive_supervisor.errors import Denied, NotFound
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Pack, Registry, Verb

Answer = Mapping[str, Any]


def echo(_context: Context, args: Answer) -> Answer:
    return {"args": dict(args)}


def missing(_context: Context, _args: Answer) -> Answer:
    raise NotFound("There is no such thing.", hint="List them.")


def crashes(_context: Context, _args: Answer) -> Answer:
    raise ZeroDivisionError("oh")


def strange(_context: Context, _args: Answer) -> Answer:
    return {"text": "half \ud800", "n": 1}


def no_json(_context: Context, _args: Answer) -> Answer:
    return {"n": float("nan")}


def steps(context: Context, _args: Answer) -> Answer:
    context.progress(1, 2, "half")
    return {}


ANYTHING = {"x": {"type": "integer"}}


def verb(name: str, run: Callable[..., Answer], **more: Any) -> Verb:
    return Verb(name, f"Does {name}.", run, audience=Audience.AGENT, **more)


REGISTRY = Registry(
    [
        Pack(
            "test",
            "For tests.",
            (
                verb("test.echo", echo, properties=ANYTHING, tool=True),
                verb("test.quick", echo, properties=ANYTHING, read_only=True, quick=True),
                verb("test.missing", missing),
                verb("test.crashes", crashes),
                verb("test.strange", strange),
                verb("test.no_json", no_json),
                verb("test.steps", steps),
                verb("test.lines", echo, as_text=lambda answer: f"args: {answer['args']}"),
                verb("test.waits", echo, properties=ANYTHING, waits=True),
                Verb("test.stop", "Stops all.", echo, audience=Audience.OPERATOR, because="it is"),
            ),
        )
    ]
)


class Told:
    """A client's session: what it is told."""

    def __init__(self) -> None:
        self.protocol_version = "2025-11-25"
        self.progress: list[tuple[float, float, str]] = []
        self.client_params = SimpleNamespace(
            client_info=SimpleNamespace(name="editor", version="1.0")
        )

    async def report_progress(self, done: float, total: float, text: str) -> None:
        self.progress.append((done, total, text))


def context(grant: Grant = AGENT) -> Any:
    return SimpleNamespace(
        grant=grant,
        progress=None,
        pause=None,
        consumer_kinds=(),
        close=lambda: None,
        catch_up=lambda: None,
        session=SimpleNamespace(kind="attach"),
    )


class Client:
    """A client of a server of its own."""

    def __init__(self, grant: Grant = AGENT) -> None:
        self.server = McpServer(REGISTRY)
        self.server.runtime.context = context(grant)
        self.server.runtime.thread = VerbThread()
        self.session = Told()
        self.ctx = SimpleNamespace(session=self.session)

    async def send(self, name: str, arguments: Answer | None = None) -> Any:
        params = types.CallToolRequestParams(name=name, arguments=dict(arguments or {}))
        return await self.server._call_tool(self.ctx, params)

    def call(self, name: str, **arguments: Any) -> Any:
        return asyncio.run(self.send(name, arguments))

    def error(self, name: str, **arguments: Any) -> str:
        """The text of a call that fails."""
        result = self.call(name, **arguments)
        assert isinstance(result, types.CallToolResult)
        assert result.is_error
        assert result.structured_content is None
        (content,) = result.content
        assert isinstance(content, types.TextContent)
        return content.text


# --- what there is --------------------------------------------------------------------------------


@pytest.mark.parametrize("grant", [AGENT, OPERATOR])
def test_tools_are_the_verbs_that_are_tools_and_the_two_doors(grant: Grant) -> None:
    client = Client(grant)
    tools = asyncio.run(client.server._list_tools(client.ctx, None)).tools
    assert [tool.name for tool in tools] == ["test_echo", "khive_call", "khive_help"]
    assert tools[0].annotations is not None
    assert tools[0].description == "Does test.echo."


def test_a_client_learns_what_it_talks_to() -> None:
    options = McpServer(REGISTRY).options()
    assert (options.server_name, options.server_version) == ("khive", __version__)


def test_the_first_word_of_a_client_says_who_it_is_once() -> None:
    client = Client()
    heard: list[Any] = []
    client.server.runtime.on_client = heard.append
    asyncio.run(client.server._list_tools(client.ctx, None))
    client.call("test_echo")
    assert heard == [{"client": "editor 1.0"}]


def test_a_client_that_does_not_say_who_it_is_is_served_all_the_same() -> None:
    client = Client()
    heard: list[Any] = []
    client.server.runtime.on_client = heard.append
    client.session.client_params = None  # type: ignore[assignment]  # as of a client that says nothing
    client.call("test_echo")
    assert heard == []


# --- help -----------------------------------------------------------------------------------------


def test_help_lists_what_whoever_asks_may_call() -> None:
    (pack,) = describe_verbs(REGISTRY, None, AGENT)["packs"]
    assert "test.stop" not in pack["verbs"]
    (pack,) = describe_verbs(REGISTRY, None, OPERATOR)["packs"]
    assert pack["verbs"]["test.stop"] == "Stops all."


def test_help_explains_one_verb_to_whom_it_is_for() -> None:
    told = Client().call("khive_help", verb="test.quick")["structuredContent"]
    assert (told["verb"], told["read_only"]) == ("test.quick", True)
    assert told["arguments"]["properties"] == ANYTHING
    with pytest.raises(Denied):
        describe_verbs(REGISTRY, "test.stop", AGENT)
    with pytest.raises(NotFound):
        describe_verbs(REGISTRY, "test.none", AGENT)


@pytest.mark.parametrize("arguments", [{"verb": 5}, {"verb": "test.echo", "more": 1}, {"x": None}])
def test_help_takes_a_verb_or_nothing(arguments: dict[str, Any]) -> None:
    assert "khive_help takes `verb`" in Client().error("khive_help", **arguments)


# --- the door to every verb -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        ({"args": {"x": 1}}, {"x": 1}),
        ({"args": '{"x": 1}'}, {"x": 1}),  # as some models write it
        ({"args": None}, {}),
        ({}, {}),
    ],
)
def test_any_verb_is_run_with_its_arguments(
    arguments: dict[str, Any], taken: dict[str, Any]
) -> None:
    result = Client().call("khive_call", verb="test.quick", **arguments)
    assert result["structuredContent"] == {"args": taken}
    assert result["isError"] is False


@pytest.mark.parametrize(
    "arguments",
    [{}, {"verb": 5}, {"verb": "test.echo", "x": 1}, {"verb": "test.echo", "args": [1]},
     {"verb": "test.echo", "args": "x"}],
)  # fmt: skip
def test_the_door_takes_a_verb_and_its_arguments_and_nothing_else(
    arguments: dict[str, Any],
) -> None:
    said = Client().error("khive_call", **arguments)
    assert "khive_call takes `verb`" in said
    assert "For example" in said


def test_a_tool_is_a_verb_by_its_other_name() -> None:
    client = Client()
    calls: list[None] = []
    client.server.runtime.on_call = lambda: calls.append(None)
    assert client.call("test_echo", x=3)["structuredContent"] == {"args": {"x": 3}}
    assert client.call("test.echo", x="3")["structuredContent"] == {"args": {"x": 3}}
    assert client.server.runtime.calls == len(calls) == 2


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("test_lines", {}), ("khive_call", {"verb": "test.lines"})],
)
@pytest.mark.parametrize(
    ("who", "alone"),
    [("claude-code", True), ("codex-mcp-client", True), ("Visual Studio Code", True),
     ("mcp", False), ("my-script", False)],
)  # fmt: skip
def test_a_client_that_would_show_a_model_the_structure_gets_lines_alone(
    name: str, arguments: dict[str, Any], who: str, *, alone: bool
) -> None:
    client = Client()
    client.session.client_params.client_info.name = who
    result = client.call(name, **arguments)
    assert result["content"] == [{"type": "text", "text": "args: {}"}]
    assert ("structuredContent" in result) is not alone
    # What has no lines is structured for everybody.
    assert "structuredContent" in client.call("test_echo")


# --- errors that a model reads --------------------------------------------------------------------


def test_an_error_says_what_and_what_to_do() -> None:
    assert Client().error("test.missing") == "There is no such thing. List them."


def test_a_verb_that_is_not_there_or_not_for_it_is_an_error() -> None:
    assert "test.none" in Client().error("test.none")
    assert Client().error("test.stop")
    assert Client(OPERATOR).call("test.stop")["isError"] is False


def test_a_verb_that_crashes_is_a_bug_and_said_to_be_one() -> None:
    said = Client().error("test.crashes")
    assert "ZeroDivisionError" in said
    assert "This is a bug" in said


def test_an_answer_that_is_no_json_is_a_bug_too() -> None:
    assert "This is a bug" in Client().error("test.no_json")


def test_whatever_was_stored_can_be_sent() -> None:
    result = Client().call("test.strange")
    assert result["structuredContent"] == {"text": "half \ufffd", "n": 1}
    assert result["content"][0]["text"] == '{"text": "half \ufffd", "n": 1}'
    assert answer_of({"a": "ä"}) == ({"a": "ä"}, '{"a": "ä"}')


# --- progress and calls that wait -----------------------------------------------------------------


def test_progress_reaches_the_client_that_called() -> None:
    client = Client()

    async def run() -> None:
        await client.send("test.steps")
        for _ in range(3):  # the report was handed to this loop
            await asyncio.sleep(0)

    asyncio.run(run())
    assert client.session.progress == [(1.0, 2.0, "half")]


def test_a_call_that_was_cancelled_goes_no_further() -> None:
    cancelled = threading.Event()

    async def run() -> None:
        report = mcp_server.progress_of(
            SimpleNamespace(session=Told()), asyncio.get_running_loop(), cancelled
        )
        cancelled.set()
        with pytest.raises(mcp_server.CancelledError):
            report(1, 2, "half")

    asyncio.run(run())


class Waiting:
    """Contexts of calls that wait: each is closed with its call."""

    def __init__(self) -> None:
        self.closed = 0

    def __call__(self) -> Any:
        made = context()

        def close() -> None:
            self.closed += 1

        made.close = close
        return made


def test_a_call_that_waits_has_a_store_of_its_own() -> None:
    client, contexts = Client(), Waiting()
    client.server.runtime.make_context = contexts
    assert client.call("test.waits", x=1)["structuredContent"] == {"args": {"x": 1}}
    assert contexts.closed == 1
    assert not client.server.runtime.waiting


@pytest.mark.parametrize(
    ("mine", "others", "said"),
    [
        (mcp_server.WAITING_LIMIT - 1, 0, ""),
        (mcp_server.WAITING_LIMIT, 0, "calls of this session wait already"),
        (0, mcp_server.WAITING_IN_ALL - 1, ""),
        (0, mcp_server.WAITING_IN_ALL, "of all clients together"),
    ],
)
def test_only_so_many_calls_wait_at_once(mine: int, others: int, said: str) -> None:
    client = Client()
    client.server.runtime.make_context = Waiting()
    client.server.runtime.waiting.update({"": mine, "others": others})
    if said:
        assert said in client.error("test.waits")
    else:
        assert client.call("test.waits")["isError"] is False
    assert client.server.runtime.waiting.total() == mine + others
