"""The control protocol: how every process of a user talks to the supervisor.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, always an object with the
protocol's version under "v". The first frame of a connection is a hello with "kind" and "release".
docs/protocol.md describes the messages.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, Self

from khive_supervisor import __version__
from khive_supervisor.errors import ProtocolError, VersionMismatch
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject

#: Raised when a message changes its meaning; both sides refuse another number.
PROTOCOL = 1
#: Bytes of JSON in one frame. Larger answers must be asked for in parts.
MAX_FRAME = 8 * 1024 * 1024
#: Descriptors that one hello may carry, and a request to a worker beside it: stdin, stdout, stderr,
#: the journal, the inbox and the channel of a session.
MAX_FDS = 6

_LENGTH = struct.Struct(">I")
_RECEIVE_BYTES = 1 << 16


def encode(message: Mapping[str, object]) -> bytes:
    """Return one frame, ready to send; texts in it that are not Unicode are made so.

    Raises:
        ProtocolError: the message is larger than MAX_FRAME.
    """
    return _frame(wellformed.json_escapes(_text(message)))


def _text(message: Mapping[str, object]) -> str:
    return json.dumps({"v": PROTOCOL, **message}, separators=(",", ":"))


def _frame(text: str) -> bytes:
    body = text.encode()
    if len(body) > MAX_FRAME:
        raise ProtocolError(
            f"A message of {len(body)} bytes is larger than a frame may be ({MAX_FRAME} bytes).",
            hint="Ask for less at once: a smaller limit, fewer entries, shorter content.",
        )
    return _LENGTH.pack(len(body)) + body


def hello(kind: str, **fields: Any) -> bytes:
    """Return the first frame of a connection; the name of a directory in it may be any bytes."""
    return _frame(_text({"kind": kind, "release": __version__, **fields}))


class Frames:
    """Turn received bytes into frames, without their lengths; pure, for any transport."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes received that are not yet a whole frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Return all frames that are complete now, in order.

        Raises:
            ProtocolError: a frame is empty or too large; the connection is unusable.
        """
        self._buffer += data
        frames = []
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if not 0 < length <= MAX_FRAME:
                raise ProtocolError(
                    f"A frame announces {length} bytes; from 1 to at most {MAX_FRAME} are allowed.",
                    hint="The other side is not a khive-supervisor, or asks for too much at once.",
                )
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[_LENGTH.size : end]))
            del self._buffer[:end]
        return frames


class FrameDecoder:
    """Turn received bytes into messages; pure, so that any transport can feed it."""

    def __init__(self) -> None:
        self._frames = Frames()

    @property
    def pending(self) -> int:
        """Bytes received that are not yet a whole frame."""
        return self._frames.pending

    def feed(self, data: bytes) -> list[JsonObject]:
        """Return all messages that are complete now, in order.

        Raises:
            ProtocolError: not a frame, too large, or not an object; the connection is unusable.
            VersionMismatch: the other side speaks another protocol.
        """
        return [_parse(frame) for frame in self._frames.feed(data)]


def _parse(body: bytes) -> JsonObject:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(
            f"A frame does not hold JSON: {error}.",
            hint="The other side is not a khive-supervisor.",
        ) from None
    if not isinstance(message, dict):
        raise ProtocolError("A frame holds JSON that is not an object.")
    if message.get("v") != PROTOCOL:
        mismatch = VersionMismatch(
            f"The other side speaks protocol {message.get('v')!r}, this side {PROTOCOL}.",
            hint=RESTART_HINT,
        )
        mismatch.kind = str(message.get("kind"))
        raise mismatch
    return message


RESTART_HINT = (
    "Two releases that cannot talk to each other are installed or running. `khive-supervisor "
    "upgrade` hands over to the one that is installed here; sessions that are open go on."
)


class Connection:
    """A blocking connection of frames, for clients and for workers that do one thing at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._decoder = FrameDecoder()
        self._ready: list[JsonObject] = []

    def send(self, message: Mapping[str, object]) -> None:
        """Send one frame whole."""
        self.sock.sendall(encode(message))

    def receive(self) -> JsonObject | None:
        """Return the next message, or None when the other side has closed."""
        while not self._ready:
            data = self.sock.recv(_RECEIVE_BYTES)
            if not data:
                return None
            self._ready += self._decoder.feed(data)
        return self._ready.pop(0)

    def peek(self, seconds: float) -> JsonObject | None:
        """Wait for the next message, which `receive` gives again; None at the end.

        Raises:
            TimeoutError: there is none within so many seconds.
        """
        before = self.sock.gettimeout()
        self.sock.settimeout(seconds)
        try:
            message = self.receive()
            if message is not None:
                self._ready.insert(0, message)
            return message
        finally:
            self.sock.settimeout(before)

    def close(self) -> None:
        """Close the connection; idempotent."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
