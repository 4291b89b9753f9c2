"""Frames between the embedder process and its clients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.control import protocol
from khive_supervisor.embed import wire
from khive_supervisor.embed.base import EmbedderBusy
from khive_supervisor.errors import (
    EmbedderUnavailable,
    InvalidInput,
    KhiveError,
    NotFound,
    ProtocolError,
)


def body(framed: bytes) -> bytes:
    """What a receiver gets of one frame."""
    (received,) = protocol.Frames().feed(framed)
    return received


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_frames_survive_any_cutting(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(wire.frame(content[:1], content[1:]) for content in contents)
    frames = protocol.Frames()
    found = []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += frames.feed(stream[:cut])
        stream = stream[cut:]
    assert found == contents
    assert frames.pending == 0


@pytest.mark.parametrize("length", [0, protocol.MAX_FRAME + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_refused_at_once(length: int) -> None:
    with pytest.raises(ProtocolError, match=str(length)):
        protocol.Frames().feed(length.to_bytes(4, "big"))


@given(st.lists(st.text(st.characters()), max_size=wire.MAX_TEXTS))
def test_texts_cross_unchanged(texts: list[str]) -> None:
    assert wire.read_request(body(wire.request(texts))) == texts


def test_even_a_lone_surrogate_crosses() -> None:
    assert wire.read_request(body(wire.request(["\ud800"]))) == ["\ud800"]


@pytest.mark.parametrize(
    "received",
    [
        b"X[]",
        b"T",
        b"T{",
        b'T"text"',
        b"T[1]",
        b"T[null]",
        b'T["\xff\xfe"]',
        b"T" + b"[" * 100_000,
        b"T" + b"9" * 100_000,
        body(wire.frame(b"T", b"[" + b'"",' * wire.MAX_TEXTS + b'""]')),
    ],
    ids=lambda received: repr(received[:12]),
)
def test_a_request_that_is_none_is_invalid_input(received: bytes) -> None:
    with pytest.raises(InvalidInput):
        wire.read_request(received)


@given(st.binary(max_size=200))
def test_no_request_does_worse_than_invalid_input(received: bytes) -> None:
    try:
        texts = wire.read_request(received)
    except InvalidInput:
        return
    assert all(isinstance(text, str) for text in texts)


def test_the_largest_request_fits_a_frame() -> None:
    texts = ["🙂" * (wire.MAX_CHARACTERS // wire.MAX_TEXTS)] * wire.MAX_TEXTS
    assert len(wire.request(texts)) < protocol.MAX_FRAME


@given(st.integers(0, 5), st.integers(1, 9))
def test_vectors_cross_unchanged(count: int, dimensions: int) -> None:
    rows = np.random.default_rng(count).random((count, dimensions), np.float32)
    back = wire.read_vectors(body(wire.vectors(rows)), count, dimensions)
    assert back.dtype == np.float32
    assert np.array_equal(back, rows)
    assert back.flags.writeable


def test_vectors_of_another_count_are_refused() -> None:
    received = body(wire.vectors(np.ones((2, 3), np.float32)))
    with pytest.raises(ProtocolError, match="3 vectors"):
        wire.read_vectors(received, 3, 3)


def test_an_error_keeps_its_kind() -> None:
    for error in (EmbedderBusy("much", hint="wait"), EmbedderUnavailable("no"), NotFound("x")):
        with pytest.raises(type(error)) as caught:
            wire.read_vectors(body(wire.failure(error)), 1, 3)
        assert type(caught.value) is type(error)
        assert caught.value.as_dict() == error.as_dict()


def test_a_greeting_crosses() -> None:
    assert wire.read_hello(body(wire.hello("model", 3))) == ("model", 3)


@pytest.mark.parametrize(
    "received",
    [
        b"H",
        b"H[]",
        b"H{}",
        b'H{"protocol": 2, "model_id": "m", "dimensions": 3}',
        b'H{"protocol": 1, "model_id": "m", "dimensions": "many"}',
        b"V1234",
        b"E[]",
        b"H\xff",
    ],
)
def test_a_greeting_that_is_none_is_a_protocol_error(received: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.read_hello(received)


@given(st.binary(max_size=100))
def test_any_answer_is_vectors_or_an_error_of_ours(received: bytes) -> None:
    try:
        rows = wire.read_vectors(received, 2, 3)
    except KhiveError:
        return
    assert rows.shape == (2, 3)
