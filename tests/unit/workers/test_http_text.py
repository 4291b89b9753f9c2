"""Bodies of MCP over HTTP: text on their way in, and lines for every reader on their way out."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from khive_workers.mcp.http_text import readable, sayable

Message = dict[str, Any]


def read(*messages: Message, times: int = 1) -> list[Message]:
    """What an application gets of messages, asking so often."""
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0)

    async def ask() -> list[Message]:
        whole = readable(receive)  # type: ignore[arg-type]  # messages of ASGI
        return [dict(await whole()) for _ in range(times)]

    return asyncio.run(ask())


def sent(*messages: Message) -> list[Message]:
    """What a client gets of messages."""
    found: list[Message] = []

    async def send(message: Any) -> None:
        found.append(dict(message))

    async def say() -> None:
        escaped = sayable(send)
        for message in messages:
            await escaped(message)

    asyncio.run(say())
    return found


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(text: str, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": text.encode(), "more_body": more}


# --- in -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(), (1,), (3, 9), tuple(range(1, 14))])
def test_a_body_is_whole_however_it_came(cuts: Sequence[int]) -> None:
    data = json.dumps({"id": 1, "a": "ä"}).encode()
    ends = [0, *cuts, len(data)]
    parts = [part(data[a:b], more=b != len(data)) for a, b in itertools.pairwise(ends)]
    (message,) = read(*parts)
    assert json.loads(message["body"]) == {"id": 1, "a": "ä"}
    assert message["more_body"] is False


def test_half_an_emoji_does_not_reach_who_would_refuse_it() -> None:
    (message,) = read(part(b'{"id":1,"a":"x\\ud800y"}'))
    assert json.loads(message["body"])["a"] == "x\ufffdy"


def test_a_body_without_parts_is_empty() -> None:
    (message,) = read({"type": "http.request"})
    assert message["body"] == b""


def test_a_client_that_leaves_in_the_middle_is_told_as_such() -> None:
    (message,) = read(part(b"{", more=True), {"type": "http.disconnect"})
    assert message == {"type": "http.disconnect"}


def test_what_comes_after_the_body_is_passed_on() -> None:
    _, after = read(part(b"{}"), {"type": "http.disconnect"}, times=2)
    assert after == {"type": "http.disconnect"}


# --- out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_nothing_passes_for_the_end_of_a_line(end: str) -> None:
    _, message = sent(start(), body(json.dumps({"a": f"x{end}y"}, ensure_ascii=False)))
    text = message["body"].decode()
    assert len(text.splitlines()) == 1
    assert json.loads(text) == {"a": f"x{end}y"}


def test_a_length_that_was_said_is_that_of_what_is_sent() -> None:
    text = json.dumps({"a": "x\u2028y"}, ensure_ascii=False)
    kind, length = (b"content-type", b"application/json"), (b"Content-Length", b"%d" % len(text))
    first, message = sent(start(kind, length), body(text))
    assert first["headers"] == [kind, (b"Content-Length", b"%d" % len(message["body"]))]
    assert first["status"] == 200


def test_the_beginning_waits_for_the_body_only_where_a_length_was_said() -> None:
    assert sent(start()) == [start()]
    assert sent(start((b"content-length", b"5"))) == []


def test_an_answer_in_parts_has_the_length_that_was_said() -> None:
    first = start((b"content-length", b"4"), status=201)
    messages = sent(first, body("ab", more=True), body("cd"))
    assert messages[0] == first
    assert [message["body"] for message in messages[1:]] == [b"ab", b"cd"]


def test_what_is_neither_is_passed_on() -> None:
    other = {"type": "http.response.trailers", "headers": []}
    assert sent(start(), other) == [start(), other]
