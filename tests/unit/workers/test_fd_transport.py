"""The transport: what a worker leaves is taken up once, and lines stay whole."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from khive_workers.mcp.fd_transport import FdTransport, TrafficObserver
from khive_workers.mcp.inbox import Inbox
from khive_workers.session.journal import Journal
from mcp.types import JSONRPCMessage, JSONRPCRequest, JSONRPCResponse

LIMIT = 1 << 20
INITIALIZE: dict[str, Any] = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}


def request(number: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "x"}}


class Session:
    """A client's pipes and journal, and the workers that serve it one after the other."""

    def __init__(self) -> None:
        self.journal, self.inbox = os.memfd_create("journal"), os.memfd_create("inbox")
        self.stdin, self.to_worker = os.pipe()
        self.from_worker, self.stdout = os.pipe()
        os.set_blocking(self.from_worker, False)

    def say(self, *messages: dict[str, Any]) -> None:
        os.write(self.to_worker, b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def answers(self) -> list[dict[str, Any]]:
        try:
            data = os.read(self.from_worker, 1 << 22)
        except BlockingIOError:
            return []
        return [json.loads(line) for line in data.splitlines()]

    def worker(self) -> FdTransport:
        journal = Journal(os.dup(self.journal))
        observer = TrafficObserver(
            journal.shake_hands, journal.receive, journal.answer, journal.subscribe
        )
        inbox = Inbox(self.inbox, LIMIT)
        return FdTransport(
            self.stdin,
            self.stdout,
            inbox,
            LIMIT,
            observer,
            journal.handshake,
            journal.owed,
            journal.standing,
        )

    def close(self) -> None:
        pipes = (self.stdin, self.to_worker, self.from_worker, self.stdout)
        for fd in (self.journal, self.inbox, *pipes):
            os.close(fd)


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


def identifier(message: JSONRPCMessage | None) -> Any:
    return getattr(message, "id", None)


def answer(number: int, text: str = "") -> JSONRPCResponse:
    return JSONRPCResponse(jsonrpc="2.0", id=number, result={"text": text})


async def shaken(session: Session) -> FdTransport:
    """A worker that has made the handshake."""
    worker = session.worker()
    session.say(INITIALIZE)
    assert identifier(await worker.receive()) == 0
    await worker.send(answer(0))
    assert len(session.answers()) == 1
    return worker


async def replayed(session: Session) -> FdTransport:
    """Another worker, which has replayed the handshake."""
    worker = session.worker()
    assert identifier(await worker.receive()) == 0
    assert getattr(await worker.receive(), "method", "") == "notifications/initialized"
    await worker.send(answer(0))  # the client has had it
    return worker


def test_what_was_read_with_a_call_and_not_noted_is_done_by_the_next_worker(
    session: Session,
) -> None:
    async def run() -> None:
        first = await shaken(session)
        session.say(request(1), request(2), request(3))
        assert identifier(await first.receive()) == 1  # 2 and 3 are read, too
        second = await replayed(session)
        assert [identifier(await second.receive()) for _ in range(2)] == [2, 3]

    asyncio.run(run())
    (lost,) = session.answers()
    assert lost["id"] == 1
    assert "lost during this call" in lost["error"]["message"]


def test_what_was_noted_and_not_dropped_is_answered_once_and_not_done_again(
    session: Session,
) -> None:
    async def run() -> None:
        first = await shaken(session)
        session.say(request(1), request(2))
        first._inbox.drop = lambda: None  # type: ignore[method-assign]  # killed before it
        assert identifier(await first.receive()) == 1
        second = await replayed(session)
        assert identifier(await second.receive()) == 2

    asyncio.run(run())
    assert [message["id"] for message in session.answers()] == [1]


def test_a_handshake_that_was_not_noted_is_made_by_the_next_worker(session: Session) -> None:
    async def run() -> None:
        session.say(INITIALIZE)
        first = session.worker()
        first._inbox.read(session.stdin)
        second = session.worker()
        assert identifier(await second.receive()) == 0
        await second.send(answer(0))

    asyncio.run(run())
    assert [message["id"] for message in session.answers()] == [0]


def test_a_handshake_that_was_noted_and_not_answered_is_made_once(session: Session) -> None:
    async def run() -> None:
        session.say(INITIALIZE, request(1))
        assert identifier(await session.worker().receive()) == 0
        second = session.worker()
        assert [identifier(await second.receive()) for _ in range(2)] == [0, 1]
        await second.send(answer(0))

    asyncio.run(run())
    assert [message["id"] for message in session.answers()] == [0]


def test_a_line_stays_whole_when_its_sender_is_cancelled(session: Session) -> None:
    """The client reads late: answers wait, and one of those who wait is cancelled."""
    long = "long " * 40_000

    async def run() -> list[dict[str, Any]]:
        worker = await shaken(session)
        senders = [asyncio.ensure_future(worker.send(answer(n, long))) for n in (1, 2, 3)]
        await asyncio.sleep(0)
        senders[0].cancel()
        senders[1].cancel()
        data = b""
        while data.count(b"\n") < 3:
            await anyio.wait_readable(session.from_worker)
            data += os.read(session.from_worker, 1 << 22)
        await senders[2]
        return [json.loads(line) for line in data.splitlines()]

    messages = asyncio.run(run())
    assert [message["id"] for message in messages] == [1, 2, 3]
    assert all(message["result"]["text"] == long for message in messages)


def test_a_client_that_is_gone_is_noticed_by_who_waits_to_write(session: Session) -> None:
    async def run() -> list[str]:
        worker = await shaken(session)
        gone: list[str] = []
        worker.when_gone(lambda: gone.append("gone"))
        sender = asyncio.ensure_future(worker.send(answer(1, "x" * (1 << 20))))
        await asyncio.sleep(0)
        os.close(session.from_worker)
        with pytest.raises(anyio.BrokenResourceError):
            await sender
        with pytest.raises(anyio.BrokenResourceError):
            await worker.send(answer(2))
        session.from_worker = os.open(os.devnull, os.O_RDONLY)
        return gone

    assert asyncio.run(run()) == ["gone"]


LISTEN = {"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen",
          "params": {"notifications": {"resourcesListChanged": True}}}  # fmt: skip


def hearing(number: int, verb: str, uri: str) -> dict[str, Any]:
    method = f"resources/{verb}"
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {"uri": uri}}


def test_the_next_worker_hears_what_the_client_wants_to_hear_of(session: Session) -> None:
    async def scenario() -> None:
        first = await shaken(session)
        session.say(hearing(2, "subscribe", "khive://a"), hearing(3, "subscribe", "khive://b"),
                    hearing(4, "unsubscribe", "khive://a"), LISTEN)  # fmt: skip
        for number in (2, 3, 4):
            await first.receive()
            await first.send(answer(number))
        await first.receive()
        assert first.quiet  # the stream is no call at work
        first.close()
        session.answers()
        second = session.worker()
        told = [await second.receive() for _ in range(4)]
        methods = [getattr(message, "method", None) for message in told]
        assert methods[2:] == ["resources/subscribe", "subscriptions/listen"]
        assert identifier(told[3]) == 9
        await second.send(answer(identifier(told[2])))
        assert session.answers() == []  # it was answered before
        await second.send(answer(9))
        assert [one["id"] for one in session.answers()] == [9]
        second.close()
        third = session.worker()
        assert len(third._standing) == 1

    asyncio.run(scenario())


def call(arguments: Any) -> dict[str, Any]:
    return {**request(5), "params": {"name": "x", "arguments": arguments}}


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        (json.dumps(call('{"a": 1, "b": "\\u00e9"}')).encode(), {"a": 1, "b": "é"}),
        (json.dumps(call("")).encode(), {}),
        (json.dumps(call([])).encode(), {}),
        (json.dumps(call({"arguments": "[1]"})).encode(), {"arguments": "[1]"}),
        (b"\xef\xbb\xbf" + json.dumps(call({})).encode(), {}),
        (json.dumps(call({"a": "?"})).encode().replace(b"?", b"\xc0\xaf"), {"a": "\ufffd\ufffd"}),
        (json.dumps(call({"a": "?"})).encode().replace(b"?", b"\xed\xa0\xbd"), {"a": "\ufffd"}),
        (
            json.dumps(call({"a": "?"})).encode().replace(b"?", b"\xed\xa0\xbd\xed\xb8\x80"),
            {"a": "\U0001f600"},
        ),
    ],
)
def test_what_is_meant_beyond_doubt_is_taken(session: Session, line: bytes, taken: Any) -> None:
    async def scenario() -> None:
        worker = await shaken(session)
        os.write(session.to_worker, line + b"\n")
        message = await worker.receive()
        assert isinstance(message, JSONRPCRequest)
        assert (message.params or {})["arguments"] == taken
        worker.close()

    asyncio.run(scenario())


LONG = b'"' + b"x" * (LIMIT + 1) + b'"'


@pytest.mark.parametrize(
    ("line", "whose", "why"),
    [
        (json.dumps(call("zebra")).encode(), 5, "must be an object"),
        (json.dumps(call([1])).encode(), 5, "must be an object, not a list"),
        (json.dumps(call(7)).encode(), 5, "must be an object"),
        (json.dumps({**request(5), "params": {"arguments": {}}}).encode(), 5, "`name` of a tool"),
        (
            b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":' + b"9" * 5000 + b"}}",
            5,
            "not JSON",
        ),
        (
            b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":' + b"[" * 9000 + b"}}",
            5,
            "recursion",
        ),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":' + LONG + b"}}", 5, "too large"),
        (b'{"method":"x","params":{"a":' + LONG + b'},"jsonrpc":"2.0","id":5}', 5, "too large"),
        (
            b'{"method":"x","params":{"a":' + LONG + b',"id":4},"id":"5","jsonrpc":"2.0"}',
            "5",
            "too",
        ),
        (b'{"method":"x","params":{"a":' + LONG + b',"id":5}}', None, "too large"),
        (b'{"jsonrpc":"2.0","id":5,"result":{"a":' + LONG + b"}}", None, "too large"),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":[]}', 5, "params that are an object"),
        (b"{", None, "not JSON"),
    ],
)
def test_who_asked_is_told_what_was_wrong(
    session: Session, line: bytes, whose: int | str | None, why: str
) -> None:
    async def scenario() -> None:
        worker = await shaken(session)
        session.answers()
        loop = asyncio.get_running_loop()
        told = json.dumps(call({})).encode()
        written = loop.run_in_executor(None, write_all, session.to_worker, line + b"\n" + told)
        taken = asyncio.ensure_future(worker.receive())
        await written
        os.write(session.to_worker, b"\n")
        message = await taken  # the call after it
        assert isinstance(message, JSONRPCRequest)
        [answer] = session.answers()
        assert answer["id"] == whose
        assert why in answer["error"]["message"]
        worker.close()

    asyncio.run(scenario())


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
