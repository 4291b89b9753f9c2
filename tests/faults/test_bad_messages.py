"""Bad frames and messages are answered: none crashes or hangs it, and nobody else pays."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

import pytest
from support import DEADLINE, Installation, RawSession, alive, kill, wait_until

from khive_supervisor.control import protocol
from khive_supervisor.control.client import ControlClient

MIB = 1 << 20

pytestmark = pytest.mark.usefixtures("nobody_else_pays")


def worker_of(khive: Installation, session: RawSession) -> int:
    """The pid of the worker that serves a session."""

    def registered() -> int | None:
        pids = [
            s["pid"] for s in khive.status()["sessions"] if s["client_pid"] == session.process.pid
        ]
        return pids[0] if pids else None

    pid: int = wait_until(registered, "the worker is registered")
    return pid


# --- the control socket --------------------------------------------------------------------------


def hello(**fields: Any) -> bytes:
    return protocol.hello(fields.pop("kind", "control"), **fields)


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def say(khive: Installation, *parts: bytes) -> bytes:
    """Send bytes to the control socket and half-close; all that comes back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(khive.socket)
        try:
            for part in parts:
                sock.sendall(part)
            sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was refused before all was sent
        received = b""
        try:
            while data := sock.recv(1 << 16):
                received += data
        except ConnectionResetError:
            pass
        return received


#: What is said, and the code of the error that answers it; None: nothing does.
FRAMES: dict[str, tuple[list[bytes], str | None]] = {
    "nothing": ([], None),
    "half a length": ([b"\0\0"], None),
    "half a hello": ([hello()[:-3]], None),
    "garbage": ([b"GET / HTTP/1.1\r\n\r\n"], "protocol_error"),
    "oversized": ([struct.pack(">I", 1 << 31)], "protocol_error"),
    "a large hello": ([struct.pack(">I", 2 * MIB) + b" " * (2 * MIB)], "protocol_error"),
    "empty": ([frame(b"")], "protocol_error"),
    "not JSON": ([frame(b"{")], "protocol_error"),
    "no object": ([frame(b"[1]")], "protocol_error"),
    "not UTF-8": ([frame(b'{"v":1,"kind":"\xff"}')], "protocol_error"),
    "deep": ([frame(b"[" * 500_000)], "protocol_error"),
    "no kind": ([hello(kind=None)], "protocol_error"),
    "a kind of another type": ([hello(kind=["control"])], "protocol_error"),
    "unknown kind": ([hello(kind="friend")], "protocol_error"),
    "a worker without a name": ([hello(kind="worker")], "protocol_error"),
    "a worker of wrong types": ([hello(kind="worker", session=1, pid="x")], "protocol_error"),
    "verbs of wrong types": ([hello(kind="verbs", env=["a"])], "protocol_error"),
    "an environment of numbers": ([hello(kind="verbs", env={"A": 1})], "protocol_error"),
    "garbage after the hello": ([hello(), b"\xff" * 20], "protocol_error"),
    "an oversized request": ([hello(), struct.pack(">I", 1 << 30)], "protocol_error"),
    "garbage to a verbs worker": ([hello(kind="verbs", env={}), frame(b"[]")], "protocol_error"),
    "half a request to a verbs worker": ([hello(kind="verbs", env={}), b"\0\0\0\5{"], None),
}


@pytest.mark.parametrize("what", FRAMES)
def test_frames_that_are_none_are_refused(guarded: Installation, what: str) -> None:
    parts, code = FRAMES[what]
    messages = protocol.FrameDecoder().feed(say(guarded, *parts))
    assert [message["error"]["code"] for message in messages] == ([code] if code else [])


@pytest.mark.parametrize(
    "fields",
    [
        {"env": "text"},
        {"cwd": 5},
        {"pid": "1"},
        {},
    ],
    ids=str,
)
def test_an_attach_that_is_none_is_refused_in_its_own_form(
    guarded: Installation, fields: dict[str, Any]
) -> None:
    assert say(guarded, hello(kind="attach", **fields)).startswith(b"E ")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"op": 5}, "invalid_input"),
        ({"op": None}, "invalid_input"),
        ({}, "invalid_input"),
        ({"op": "no.such"}, "not_found"),
        ({"op": "memory.recall", "args": [1]}, "invalid_input"),
        ({"op": "memory.recall", "args": "text"}, "invalid_input"),
        ({"op": "memory.recall", "args": {"query": "\ud800"}}, None),
        ({"op": "memory.remember", "args": {"content": "\ud800"}}, None),
        ({"op": "memory.remember", "args": {"content": "x", "title": "\ud800"}}, None),
        ({"op": "memory.get", "args": {"ids": ["\ud800"]}}, "invalid_input"),
        ({"op": "system.status", "args": {"\ud800": 1}}, "invalid_input"),
    ],
    ids=str,
)
def test_requests_that_are_none_are_answered(
    guarded: Installation, message: dict[str, Any], code: str | None
) -> None:
    with ControlClient(guarded.socket, "verbs", pid=1, cwd="/", env={}) as client:
        client._connection.send({"id": [1], **message})
        answer = client._connection.receive()
        while answer is not None and ("taken" in answer or "begun" in answer):
            answer = client._connection.receive()  # who serves the connection, and that it does
        assert answer is not None
        assert answer["id"] == [1]
        assert answer.get("error", {}).get("code") == code
        assert client.request("system.status")["version"]


def test_many_clients_that_say_nothing_keep_nobody_out(guarded: Installation) -> None:
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(100)]
    try:
        for sock in silent:
            sock.connect(guarded.socket)
        assert guarded.call("memory.recall", query="x")["results"] is not None
    finally:
        for sock in silent:
            sock.close()


def test_a_client_of_the_control_socket_that_never_reads(guarded: Installation) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.connect(guarded.socket)
        sock.send(hello())
        request = protocol.encode({"id": 1, "op": "status"})
        try:
            while True:
                sock.send(request)
        except BlockingIOError:
            pass  # the supervisor reads no more of it, since it cannot answer
        assert guarded.call("memory.recall", query="x")["results"] is not None


# --- JSON-RPC ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "identifier", "code"),
    [
        (b"nonsense", None, -32700),
        (b"\xff\xfe\x00", None, -32700),
        (b'{"jsonrpc":"2.0","id":7,"method":"tools/list"', 7, -32700),
        (b"[" * 200_000, None, -32700),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, None, -32700),
        (b"[]", None, -32600),
        (b"5", None, -32600),
        (b"null", None, -32600),
        (b'"text"', None, -32600),
        (b"{}", None, -32600),
        (b'{"jsonrpc":"1.0","id":7,"method":"tools/list"}', 7, -32600),
        (b'{"jsonrpc":"2.0","id":7,"method":5}', 7, -32600),
        (b'{"jsonrpc":"2.0","id":{"a":1},"method":"x"}', None, -32600),
        (b'{"jsonrpc":"2.0","id":"x","method":"tools/list","params":[1]}', "x", -32600),
        (b'{"jsonrpc":"2.0","id":8,"method":"no/such"}', 8, -32601),
        (b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{}}', 9, -32602),
        (b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":5}}', 9, -32602),
        (b'{"jsonrpc":"2.0","id":9,"method":"prompts/get","params":{"name":"x"}}', 9, -32602),
        (b'{"jsonrpc":"2.0","id":9,"method":"resources/read","params":{"uri":"a:b"}}', 9, -32602),
        (b'{"jsonrpc":"2.0","id":9,"method":"x","params":{"q":"\\ud800"}}', 9, -32601),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_what_is_no_request_gets_the_error_of_its_kind(
    session: RawSession, line: bytes, identifier: object, code: int
) -> None:
    session.send(line + b"\n")
    answer = session.read()
    assert (answer["id"], answer["error"]["code"]) == (identifier, code)
    assert len(answer["error"]["message"]) < 1000


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"   ",
        b"\r",
        b'{"jsonrpc":"2.0","id":77,"result":{}}',
        b'{"jsonrpc":"2.0","id":77,"error":{"code":1,"message":"x"}}',
        b'{"jsonrpc":"2.0","method":"notifications/no_such"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
    ],
)
def test_what_needs_no_answer_gets_none(session: RawSession, line: bytes) -> None:
    session.send(line + b"\n")
    ping = {"jsonrpc": "2.0", "id": "after", "method": "ping"}
    session.send(json.dumps(ping).encode() + b"\r\n")
    assert session.read()["id"] == "after"


def test_a_message_over_the_limit_is_answered_and_skipped(session: RawSession) -> None:
    call = {"name": "memory_remember", "arguments": {"content": "x" * 10 * MIB}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    session.send(json.dumps(request).encode() + b"\n")
    answer = session.read()
    assert "Message too large" in answer["error"]["message"]
    assert answer["id"] == 1


def test_half_a_line_and_then_death(guarded: Installation) -> None:
    with RawSession(guarded) as session:
        session.initialize()
        pid = worker_of(guarded, session)
        session.send(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"na')
        kill(session.process.pid)
        wait_until(lambda: not alive(pid), "its worker is gone")


def test_half_a_line_and_then_the_end(guarded: Installation) -> None:
    with RawSession(guarded) as session:
        session.initialize()
        session.send(b'{"jsonrpc":"2.0","id":1,"method":"pi')
        assert session.close() == 0


def test_a_client_that_leaves_before_it_says_anything(guarded: Installation) -> None:
    with RawSession(guarded) as session:
        assert session.close() == 0


def flood(session: RawSession) -> None:
    """Ask for more than any pipe holds, and read none of it."""
    os.set_blocking(session.stdin.fileno(), False)
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode() + b"\n"
    asked = 0
    try:
        while asked < 20_000:
            os.write(session.stdin.fileno(), request * 20)
            asked += 20
    except BlockingIOError:
        return  # the session reads no more, since it cannot answer
    raise AssertionError("the session read on although nobody takes its answers")


def test_a_client_that_never_reads_stops_only_itself(guarded: Installation) -> None:
    with RawSession(guarded) as deaf, RawSession(guarded) as other:
        deaf.initialize()
        other.initialize()
        pid = worker_of(guarded, deaf)
        flood(deaf)
        assert not other.tool("memory_recall", query="x")["isError"]
        kill(deaf.process.pid)
        wait_until(lambda: not alive(pid), "its worker is gone")
        assert other.close() == 0


def test_a_client_that_never_reads_and_closes_its_stdin_is_let_go(guarded: Installation) -> None:
    with RawSession(guarded) as deaf:
        deaf.initialize()
        pid = worker_of(guarded, deaf)
        flood(deaf)
        deaf.stdin.close()
        wait_until(lambda: not alive(pid), "its worker is gone")
        assert deaf.process.wait(DEADLINE) == 0


def test_a_client_whose_stdout_is_closed_is_let_go(guarded: Installation) -> None:
    with RawSession(guarded) as session:
        session.initialize()
        pid = worker_of(guarded, session)
        session.stdout.close()
        session.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        wait_until(lambda: not alive(pid), "its worker is gone")
        assert session.process.wait(DEADLINE) == 0
