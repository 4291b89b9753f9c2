"""The control protocol: frames survive any chunking, and nothing else is taken for a frame."""

from __future__ import annotations

import itertools
import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor import __version__
from khive_supervisor.control import protocol
from khive_supervisor.errors import ProtocolError, VersionMismatch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text().filter(lambda name: name != "v"), VALUES, max_size=5)


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 10_000)))
def test_any_chunking_gives_the_same_messages(messages: list, cuts: list[int]) -> None:
    data = b"".join(map(protocol.encode, messages))
    decoder = protocol.FrameDecoder()
    received = [message for part in chunked(data, cuts) for message in decoder.feed(part)]
    assert received == [{"v": protocol.PROTOCOL, **message} for message in messages]
    assert decoder.pending == 0


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for_and_raises_nothing_else(data: bytes) -> None:
    decoder = protocol.FrameDecoder()
    try:
        messages = decoder.feed(data)
    except ProtocolError:
        return
    assert messages == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "announces 0 bytes"),
        (b"nonsense", "does not hold JSON"),
        (b'"\xff"', "does not hold JSON"),
        (b"[" * 100_000, "does not hold JSON"),
        (b"9" * 5000, "does not hold JSON"),
        (b'[{"v":1}]', "not an object"),
        (b"null", "not an object"),
    ],
)
def test_a_frame_that_is_no_object_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        protocol.FrameDecoder().feed(framed(body))


def test_an_oversized_frame_is_refused_before_it_arrives() -> None:
    with pytest.raises(ProtocolError, match="at most"):
        protocol.FrameDecoder().feed(struct.pack(">I", protocol.MAX_FRAME + 1))


def test_a_message_too_large_for_a_frame_is_not_sent() -> None:
    with pytest.raises(ProtocolError, match="larger than a frame"):
        protocol.encode({"text": "x" * protocol.MAX_FRAME})


@pytest.mark.parametrize("version", [None, 0, 2, "1", [1]])
def test_another_protocol_is_refused_and_its_kind_kept(version: object) -> None:
    body = json.dumps({"v": version, "kind": "attach"}).encode()
    with pytest.raises(VersionMismatch) as caught:
        protocol.FrameDecoder().feed(framed(body))
    assert caught.value.kind == "attach"
    assert "khive-supervisor upgrade" in caught.value.hint


def test_fields_that_only_another_release_knows_are_kept() -> None:
    frame = protocol.hello("verbs", new_field=[1])
    (message,) = protocol.FrameDecoder().feed(frame)
    assert message["release"] == __version__
    assert message["new_field"] == [1]


def test_a_connection_gives_messages_one_by_one_and_then_the_end() -> None:
    ours, theirs = socket.socketpair()
    with protocol.Connection(ours) as connection:
        with protocol.Connection(theirs) as other:
            other.sock.sendall(protocol.encode({"n": 1}) + protocol.encode({"n": 2}))
            other.send({"n": 3})
        received = [connection.receive() for _ in range(4)]
    assert [message and message["n"] for message in received] == [1, 2, 3, None]
