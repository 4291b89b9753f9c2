"""MCP by the official client, in both eras of the protocol: tools, schemas, errors, progress."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import mcp
import pytest
from jsonschema import Draft202012Validator
from support import Installation, RawSession, run, store_of

from khive_supervisor.packs import loading
from khive_supervisor.tasks.model import RoleRow

MODES = pytest.mark.parametrize("mode", ["auto", "legacy"])
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Arguments that each tool refuses, and a word of the reason.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("memory_remember", {}, "content"),
    ("memory_remember", {"content": 5}, "content"),
    ("memory_remember", {"content": "  \n"}, "empty"),
    ("memory_remember", {"content": "x", "salience": 2}, "salience"),
    ("memory_remember", {"content": "x", "kind": "No Kind"}, "kind"),
    ("memory_remember", {"content": "x", "tags": {"a": 1}}, "tags"),
    ("memory_remember", {"content": "x", "tags": ["t"] * 33}, "tags"),
    ("memory_remember", {"content": "x", "color": "red"}, "color"),
    ("memory_recall", {}, "query"),
    ("memory_recall", {"query": None}, "query"),
    ("memory_recall", {"query": "x", "limit": 0}, "limit"),
    ("memory_recall", {"query": "x", "limit": "many"}, "limit"),
    ("memory_recall", {"query": "x", "since": "yesterday"}, "neither a time"),
    ("memory_get", {"ids": []}, "ids"),
    ("memory_get", {"ids": ["12"]}, "not an id"),
    ("memory_get", {"ids": ["m999999"]}, "no entry"),
    ("memory_forget", {"ids": 1}, "ids"),
    ("memory_recall", {"query": "x", "limit": 3.5}, "limit"),
    ("memory_forget", {"ids": ["m999999"]}, "no entry"),
    ("memory_supersede", {"id": "m999999", "content": "x"}, "no entry"),
    ("memory_supersede", {"content": "x"}, "id"),
    ("knowledge_learn", {"entries": []}, "entries"),
    ("knowledge_learn", {"entries": [{"title": "no content"}]}, "content"),
    ("knowledge_learn", {"entries": [{"content": "x", "more": 1}]}, "more"),
    ("knowledge_learn", {"entries": [{"content": "x"}] * 501}, "entries"),
    ("knowledge_learn", {"entries": [{"content": "a"}, {"content": ""}]}, "entries.1.content"),
    ("knowledge_search", {"query": "x", "in": "nowhere"}, "nowhere"),
    ("knowledge_search", {"query": ["x"]}, "query"),
    ("knowledge_suggest", {"task": 1}, "task"),
    ("brain_feedback", {"target": "m1"}, "signal"),
    ("brain_feedback", {"target": "m999999", "signal": "useful"}, "no entry"),
    ("brain_feedback", {"target": "m1", "signal": "lovely"}, "lovely"),
    ("brain_profiles", {"lifecycle": "gone"}, "gone"),
    ("brain_create_profile", {"name": "no spaces"}, "no spaces"),
    ("brain_create_profile", {"name": "a", "consumer_kind": "none"}, "recall, search"),
    ("brain_create_profile", {"name": "a", "seed_priors": {"salience": {"alpha": 1}}}, "beta"),
    ("agents_assign", {}, "role"),
    ("agents_assign", {"role": "nobody"}, "no role"),
    ("agents_assign", {"task_type": 5}, "task_type"),
    ("agents_task", {"task": "12"}, "not a task"),
    ("agents_task", {"task": "t999999"}, "no task"),
    ("agents_wait", {}, "task"),
    ("agents_wait", {"tasks": ["t999999"]}, "no task"),
    ("agents_wait", {"task": "t1", "timeout": 601}, "timeout"),
    ("system_status", {"verbose": True}, "verbose"),
    ("khive_call", {}, "verb"),
    ("khive_call", {"verb": "index.status", "args": [1]}, "args"),
    ("khive_call", {"verb": "index.status", "more": 1}, "nothing else"),
    ("khive_call", {"verb": "no.such"}, "no verb"),
    ("khive_call", {"verb": "memory.restore", "args": {}}, "ids"),
    ("khive_help", {"verb": 5}, "string"),
    ("khive_help", {"verb": "no.such"}, "no verb"),
    ("khive_help", {"verbs": "x"}, "takes"),
    ("no_such_tool", {}, "no verb"),
]
#: Verbs that clients may know as tools: of earlier releases, or where roles are configured.
UNLISTED = {
    "knowledge_learn", "knowledge_search", "knowledge_suggest", "brain_profiles",
    "brain_create_profile", "agents_assign", "agents_task", "agents_wait", "system_status",
}  # fmt: skip
#: A call of each tool that answers.
ANSWERED: list[tuple[str, dict[str, Any]]] = [
    ("memory_remember", {"content": "kept by every test", "kind": "episodic", "salience": 1}),
    ("memory_recall", {"query": "kept by every test", "explain": True}),
    ("memory_get", {"ids": ["m1"]}),
    ("brain_create_profile", {"name": "team-1", "description": "For the team."}),
    ("brain_feedback", {"target": "m1", "signal": "useful", "profile": "team-1"}),
    ("brain_profiles", {"lifecycle": "active"}),
    ("memory_supersede", {"id": "m1", "content": "kept by every test, corrected"}),
    ("memory_forget", {"ids": ["m1", "m2"]}),
    ("knowledge_learn", {"entries": [{"content": "a document", "title": "T", "tags": ["t"]}]}),
    ("knowledge_search", {"query": "document", "in": "all", "tags": ["t"]}),
    ("knowledge_suggest", {"task": "read the document"}),
    ("agents_assign", {"role": "reviewer", "payload": {"pr": 1}, "idempotency_key": "k"}),
    ("agents_task", {"task": "t1"}),
    ("agents_wait", {"task": "t1", "timeout": 0}),
    ("system_status", {}),
    ("khive_call", {"verb": "index.status"}),
    ("khive_help", {}),
]


def text_of(result: Any) -> str:
    return "".join(block.text for block in result.content)


@pytest.fixture(scope="module")
def tools(shared: Installation) -> list[mcp.types.Tool]:
    async def main() -> list[mcp.types.Tool]:
        async with shared.session() as client:
            return (await client.list_tools()).tools

    found: list[mcp.types.Tool] = run(main())
    return found


@MODES
def test_the_list_of_tools_is_the_same_for_everybody(
    shared: Installation, tools: list[mcp.types.Tool], mode: str
) -> None:
    async def main() -> None:
        async with shared.session(mode) as client:
            for _ in range(2):
                assert (await client.list_tools()).tools == tools

    run(main())


def test_every_tool_is_one_that_all_clients_take(tools: list[mcp.types.Tool]) -> None:
    assert len({tool.name for tool in tools}) == len(tools)
    for tool in tools:
        assert NAME.fullmatch(tool.name)
        assert tool.title
        assert tool.description
        Draft202012Validator.check_schema(tool.input_schema)
        # What is left out of the list is taken all the same: no client is to refuse it.
        assert tool.input_schema.get("additionalProperties", False) is False
        Draft202012Validator.check_schema(tool.output_schema or {})
        annotations = tool.annotations
        assert annotations is not None
        assert annotations.title
        assert annotations.read_only_hint is not None
        assert annotations.open_world_hint is False


def test_only_what_changes_nothing_says_that_it_only_reads(tools: list[mcp.types.Tool]) -> None:
    reading = {tool.name for tool in tools if tool.annotations and tool.annotations.read_only_hint}
    assert reading == {
        "memory_recall", "memory_get", "khive_help",
    }  # fmt: skip


def test_what_can_be_taken_back_does_not_say_that_it_destroys(
    tools: list[mcp.types.Tool],
) -> None:
    said = {t.name: t.annotations.destructive_hint for t in tools if t.annotations}
    assert not any(said[f"memory_{verb}"] for verb in ("remember", "supersede", "forget"))
    assert said["khive_call"] is None  # so clients ask: it leads to verbs that do


def test_the_cases_below_name_every_tool(tools: list[mcp.types.Tool]) -> None:
    names = {tool.name for tool in tools} | UNLISTED
    assert not UNLISTED & {tool.name for tool in tools}
    assert {name for name, _ in ANSWERED} == names
    assert {name for name, _, _ in REFUSED} == names | {"no_such_tool"}


def says_the_same(text: str, answer: dict[str, Any] | None) -> bool:
    """Return True for text that is the answer as JSON, or lines with all of its entries."""
    assert answer is not None
    if "results" in answer or "entries" in answer:
        shown = answer.get("results", answer.get("entries", []))
        return all(one["content"] in text and one["id"] in text for one in shown)
    return bool(json.loads(text) == answer)


@MODES
def test_every_tool_answers_as_its_schema_says(
    khive: Installation, tools: list[mcp.types.Tool], mode: str
) -> None:
    schemas = {verb.tool_name: verb.output for verb in loading.load()}
    khive.start()
    with store_of(khive) as store:
        store.roles.set([RoleRow("reviewer", ("review",))])

    async def main() -> None:
        async with khive.session(mode) as client:
            for name, arguments in ANSWERED:
                result = await client.call_tool(name, arguments)
                assert not result.is_error, text_of(result)
                assert says_the_same(text_of(result), result.structured_content)
                schema = schemas.get(name) or {}
                Draft202012Validator(schema).validate(result.structured_content)

    run(main())


@MODES
def test_bad_arguments_are_answers_that_a_model_can_read(shared: Installation, mode: str) -> None:
    async def main() -> None:
        async with shared.session(mode) as client:
            for name, arguments, why in REFUSED:
                result = await client.call_tool(name, arguments)
                assert result.is_error, name
                assert why in text_of(result)
                assert len(text_of(result)) < 1500
                # The schema of a tool's output is of its answers: some clients check errors, too.
                assert result.structured_content is None
            # And the session is none the worse for it.
            assert not (await client.call_tool("system_status", {})).is_error

    run(main())
    assert shared.call("memory.recall", query="x entries content")["results"] == []


@MODES
def test_the_dotted_spelling_is_an_alias(shared: Installation, mode: str) -> None:
    async def main() -> None:
        async with shared.session(mode) as client:
            for name in ("index.status", "index_status", "system.status"):
                assert not (await client.call_tool(name, {})).is_error

    run(main())


@MODES
def test_the_door_and_its_help_lead_to_every_verb(shared: Installation, mode: str) -> None:
    async def main() -> None:
        async with shared.session(mode) as client:
            help_ = (await client.call_tool("khive_help", {})).structured_content
            assert help_ is not None
            verbs = [verb for pack in help_["packs"] for verb in pack["verbs"]]
            assert {"memory.restore", "index.status", "index.verify"} <= set(verbs)
            assert "index.build" not in verbs  # an operator's
            for verb in verbs:
                shown = (await client.call_tool("khive_help", {"verb": verb})).structured_content
                assert shown is not None
                Draft202012Validator.check_schema(shown["arguments"])
            called = await client.call_tool("khive_call", {"verb": "index.status", "args": {}})
            assert called.structured_content is not None
            assert called.structured_content["state"]

    run(main())


def entries(count: int, mark: str) -> list[dict[str, str]]:
    text = " ".join(["the deployment of the service"] * 20)
    return [{"content": f"{mark} document number {number}: {text}"} for number in range(count)]


@MODES
def test_a_large_learn_reports_its_progress(shared: Installation, mode: str) -> None:
    seen: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))

    async def main() -> None:
        async with shared.session(mode) as client:
            result = await client.call_tool(
                "knowledge_learn", {"entries": entries(130, mode)}, progress_callback=note
            )
            assert result.structured_content is not None
            assert result.structured_content["stored"] == 130

    run(main())
    assert seen == [(64, 130), (128, 130), (130, 130)]


def test_a_cancelled_learn_ends_early_and_the_session_goes_on(khive: Installation) -> None:
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        call = {
            "name": "knowledge_learn",
            "arguments": {"entries": entries(500, "cancelled")},
            "_meta": {"progressToken": "p"},
        }
        request = {"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": call}
        session.send(json.dumps(request).encode() + b"\n")
        assert session.read()["method"] == "notifications/progress"
        cancel = {"method": "notifications/cancelled", "params": {"requestId": "long"}}
        session.send(json.dumps({"jsonrpc": "2.0", **cancel}).encode() + b"\n")
        status = session.tool("system_status")["structuredContent"]
        assert 64 <= status["store"]["entries"]["knowledge"] < 500
        assert session.close() == 0


def test_each_call_s_progress_goes_to_that_call(shared: Installation) -> None:
    seen: dict[str, list[float]] = {"a": [], "b": []}

    async def main() -> None:
        async with shared.session() as client:

            async def learn(mark: str, count: int) -> None:
                async def note(progress: float, total: float | None, message: str | None) -> None:
                    assert total == count
                    seen[mark].append(progress)

                await client.call_tool(
                    "knowledge_learn", {"entries": entries(count, mark)}, progress_callback=note
                )

            await asyncio.gather(learn("a", 100), learn("b", 70))

    run(main())
    assert seen == {"a": [64, 100], "b": [64, 70]}


@MODES
def test_calls_at_once_are_all_answered(shared: Installation, mode: str) -> None:
    async def main() -> None:
        async with shared.session(mode) as client:
            calls = (client.call_tool("memory_recall", {"query": f"q {n}"}) for n in range(30))
            assert not any(result.is_error for result in await asyncio.gather(*calls))

    run(main())


def test_the_session_says_who_its_client_is(shared: Installation) -> None:
    async def main() -> None:
        async with shared.session() as client:
            await client.list_tools()
            status = (await client.call_tool("system_status", {})).structured_content
            assert status is not None
            own = status["session"]["id"]
            sessions = {s["id"]: s for s in status["supervisor"]["sessions"]}
            assert sessions[own]["cwd"] == str(shared.home)
            assert sessions[own]["namespace"] == "default"

    run(main())
