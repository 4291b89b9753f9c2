"""Text that is not Unicode, over every surface: it is made so, and every answer can be read."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import apsw
import mcp.client.session
import pytest
from http_support import HttpBench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from support import RawSession, installed, run, store_of, wait_until

from khive_supervisor.text import wellformed

HALF = "\ud83d"
#: Any string of Python's, most often with something in it that has broken a reader of lines.
ANY_TEXT = st.lists(
    st.sampled_from(
        ["\ud83d", "\udc80", "\u2028", "\x85", "\0", "\x1b", "a", "🦓", '"', "\\", "\n"]
    ),
    min_size=1,
    max_size=8,
).map("".join) | st.text(st.characters(exclude_categories=()), min_size=1, max_size=12)
#: Two texts that differ in white space are one memory: each that is stored gets its own number.
NUMBERS = itertools.count()
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

MCP_HEADERS = {
    "Content_Type": "application/json",
    "Accept": "application/json, text/event-stream",
}
ROLE = """
[embedder]
kind = "none"
[http]
enabled = true
port = 0
[[roles]]
role = "worker"
task_types = ["x"]
handler = {{ python = "handlers:echo" }}
cwd = "{directory}"
[[roles]]
role = "teller"
task_types = ["y"]
handler = {{ python = "handlers:fail" }}
cwd = "{directory}"
[[roles]]
role = "printer"
task_types = ["z"]
handler = {{ command = ["/bin/sh", "-c", '{command}'] }}
"""
HANDLERS = """
import json
def echo(context, payload):
    context.progress("half \\ud83d of it")
    print("a line \\ud83d of the log")
    return {"given": payload, "key \\ud83d": ["\\udc00"]}
def fail(context, payload):
    raise ValueError("it failed: \\ud83d")
"""
COMMAND = r"""printf "{\"x\": \"\\\\ud83d\"}""" + '\\n"'


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpBench]:
    with installed(tmp_path_factory.mktemp("text") / "h") as khive:
        directory = khive.home / "handlers"
        directory.mkdir()
        (directory / "handlers.py").write_text(HANDLERS)
        khive.configure(ROLE.format(directory=directory, command=COMMAND))
        khive.start()
        yield HttpBench(khive)


@pytest.fixture(scope="module")
def raw(bench: HttpBench) -> Iterator[RawSession]:
    with RawSession(bench.khive) as session:
        session.initialize()
        yield session


def whole(answer: Any) -> Any:
    """The answer, which can be encoded."""
    json.dumps(answer, ensure_ascii=False).encode()
    return answer


def content(answer: dict[str, Any]) -> Any:
    assert not answer["isError"], answer
    return whole(answer["structuredContent"])


# --- requests -------------------------------------------------------------------------------------


def test_half_an_emoji_in_a_call_is_replaced(raw: RawSession) -> None:
    stored = content(raw.tool("memory_remember", content=f"lone {HALF} pancake", tags=[HALF]))
    (entry,) = content(raw.tool("memory_get", ids=[stored["id"]]))["entries"]
    assert entry["content"] == "lone \ufffd pancake"
    assert entry["tags"] == ["\ufffd"]
    assert content(raw.tool("memory_recall", query=f"pancake {HALF}"))["results"]
    assert whole(raw.tool("memory_remember", **{"content": "x", HALF: 1}))["isError"]
    assert whole(raw.request(f"no/{HALF}", {}))["error"]["code"] == -32601
    assert whole(raw.request("resources/read", {"uri": "khive://profiles/%ED%A0%BD"}))["error"]


@given(text=ANY_TEXT)
@FEW
def test_any_text_can_be_sent_and_read(bench: HttpBench, raw: RawSession, text: str) -> None:
    as_stored = wellformed.text(text)
    nth = next(NUMBERS)
    marked = f"any {text} text {nth}"
    stored = content(raw.tool("memory_remember", content=marked, title=text[:9], source=text))
    (entry,) = content(raw.tool("memory_get", ids=[stored["id"]]))["entries"]
    assert entry["content"] == f"any {as_stored} text {nth}"
    for tool, args in (
        ("memory_recall", {"query": text}),
        ("khive_call", {"verb": text, "args": {text: text}}),
        ("agents_assign", {"role": "nobody", "task_type": text, "payload": {text: text}}),
        ("khive_help", {"verb": text}),
    ):
        assert whole(raw.tool(tool, **args))["content"]
    uri = f"khive://profiles/{text}"
    assert whole(raw.request("resources/read", {"uri": uri}))["error"]["message"]
    body = json.dumps({"role": "drained", "task_type": text, "payload": {text: [text]}}).encode()
    assert bench.ask("POST", "/tasks", body).status in (400, 404)


@given(text=ANY_TEXT)
@FEW
def test_any_text_over_http_can_be_sent_and_read(bench: HttpBench, text: str) -> None:
    call = {"name": "memory_remember", "arguments": {"content": f"http {text} text"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = dict(MCP_HEADERS)
    made = bench.ask("POST", "/mcp", json.dumps(handshake("2025-06-18")).encode(), **headers)
    headers |= {"mcp_session_id": made.headers["mcp-session-id"]}
    answer = bench.ask("POST", "/mcp", json.dumps(request).encode(), **headers)
    assert answer.status == 200
    for separator in ("\u2028", "\u2029", "\x85"):
        assert separator not in answer.body.decode()
    said = answer.body.decode()
    result = json.loads(said[said.index("{") :].splitlines()[0])["result"]
    assert not result["isError"]


def handshake(version: str) -> dict[str, Any]:
    client = {"name": f"half {HALF} a client", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}


def test_the_name_of_a_client_is_made_text(bench: HttpBench) -> None:
    with RawSession(bench.khive) as session:
        session.send(json.dumps(handshake("2025-06-18")).encode() + b"\n")
        assert session.read()["result"]["serverInfo"]["name"] == "khive"
        session.tool("memory_recall", query="x")

        def named() -> bool:
            return any(
                one.get("client") == "half \ufffd a client 1"
                for one in whole(bench.khive.status())["sessions"]
            )

        wait_until(named, "the client's name is known")
        assert whole(session.tool("system_status"))
        assert bench.ask("GET", "/status").status == 200


def test_an_environment_and_a_directory_that_are_no_text(bench: HttpBench) -> None:
    odd = os.fsencode(bench.khive.home) + b"/odd \xff folder"
    os.mkdir(odd)
    khive = bench.khive
    environment = {**khive.env, "KHIVE_ACTOR": "ada \udcff", "KHIVE_NAMESPACE": "n\udcff"}
    for words in (["remember", b"a byte \xff in a word"], ["recall", b"byte \xff"], ["status"]):
        done = subprocess.run(
            [*khive.argv, *words, "--json"],
            env=environment, cwd=odd, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        whole(json.loads(done.stdout.decode()))
    done = subprocess.run(
        [*khive.argv, "assign", "--role", "worker", '{"a": "\\ud83d"}', "--wait"],
        env=environment, cwd=odd, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "\ufffd" in done.stdout.decode()


# --- tasks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "field", "expected"),
    [
        ("worker", "result", {"given": {"a\ufffd": "\ufffd"}, "key \ufffd": ["\ufffd"]}),
        ("printer", "result", {"x": "\ufffd"}),
        ("teller", "error", "it failed: \ufffd"),
    ],
)
def test_what_a_role_makes_is_text(
    bench: HttpBench, raw: RawSession, role: str, field: str, expected: Any
) -> None:
    payload = {f"a{HALF}": HALF}
    given = content(raw.tool("agents_assign", role=role, payload=payload))
    fine = content(raw.tool("agents_assign", role="worker", payload="fine"))
    waited = content(raw.tool("agents_wait", tasks=[given["task"], fine["task"]]))
    first, second = waited["tasks"]
    assert (expected in first[field]) if field == "error" else (first[field] == expected)
    assert second["result"]["given"] == "fine"
    assert content(raw.tool("agents_task", task=given["task"]))
    assert whole(bench.ask("GET", f"/tasks/{given['task']}").data)
    assert bench.khive.run("task", given["task"]).stdout
    assert whole(bench.khive.json("task", given["task"]))


def test_what_an_earlier_release_has_stored_can_be_read(bench: HttpBench, raw: RawSession) -> None:
    given = content(raw.tool("agents_assign", role="worker"))
    content(raw.tool("agents_wait", task=given["task"]))
    with contextlib.closing(apsw.Connection(str(bench.khive.store))) as database:
        database.execute(
            "UPDATE tasks SET result = ?, payload = ? WHERE id = ?",
            [r'{"x":"\ud83d"}', r'["\udc00"]', int(given["task"][1:])],
        )
    waited = content(raw.tool("agents_wait", task=given["task"]))
    assert waited["tasks"][0]["result"] == {"x": "\ufffd"}
    with store_of(bench.khive) as store:
        found = store.tasks.find(int(given["task"][1:]))
        assert found is not None
        assert found.payload == ["\ufffd"]


# --- lines ----------------------------------------------------------------------------------------


def test_no_line_has_what_some_readers_take_for_its_end(bench: HttpBench, raw: RawSession) -> None:
    text = "a \u2028 b \u2029 c \x85 d"
    stored = content(raw.tool("memory_remember", content=text))
    raw.send(
        json.dumps(
            {
                "jsonrpc": "2.0", "id": "line", "method": "tools/call",
                "params": {"name": "memory_get", "arguments": {"ids": [stored["id"]]}},
            }
        ).encode()
        + b"\n"
    )  # fmt: skip
    data = b""
    while b"\n" not in data:
        data += os.read(raw.stdout.fileno(), 1 << 16)
    assert len(data.decode().splitlines()) == 1
    assert json.loads(data)["result"]["structuredContent"]["entries"][0]["content"] == text
    printed = bench.khive.run("get", stored["id"], "--json").stdout
    assert not re.search("[\u2028\u2029\x85]", printed)
    assert json.loads(printed)["entries"][0]["content"] == text


# --- versions -------------------------------------------------------------------------------------


def test_the_version_of_batches_is_not_offered(bench: HttpBench) -> None:
    with RawSession(bench.khive) as session:
        session.send(json.dumps(handshake("2025-03-26")).encode() + b"\n")
        assert session.read()["result"]["protocolVersion"] == "2024-11-05"
        ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        session.send(b"[" + ping + b"," + ping + b"]\n")
        assert session.read()["error"]["code"] == -32600
        assert content(session.tool("memory_recall", query="x"))["results"] is not None
    headers = dict(MCP_HEADERS)
    body = json.dumps(handshake("2025-03-26")).encode()
    said = bench.ask("POST", "/mcp", body, **headers).body.decode()
    assert '"protocolVersion":"2024-11-05"' in said


@pytest.mark.parametrize("version", [*HANDSHAKE_PROTOCOL_VERSIONS, "2026-07-28", "1.0", "x" * 99])
def test_the_official_client_agrees_on_a_version(
    bench: HttpBench, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp.client.session, "LATEST_HANDSHAKE_VERSION", version)

    async def main() -> Any:
        async with bench.khive.session("legacy") as session:
            return await session.call_tool("memory_recall", {"query": "x"})

    assert not run(main()).is_error
