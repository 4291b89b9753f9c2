"""What the embedder process and its clients say to each other over a Unix socket.

A frame is a 4-byte big-endian length and that many bytes: one that says what it is, then the rest.

| byte | from | rest |
|---|---|---|
| H | server, first thing on a connection | JSON: `protocol`, `model_id`, `dimensions` |
| T | client | JSON: a list of texts, MAX_TEXTS at most |
| V | server | the vectors in order: float32, little-endian, without separators |
| E | server | JSON: an error as `KhiveError.as_dict` gives it, instead of the vectors |

A client waits for the answer before it asks again. After an E the connection goes on, unless the
frame itself was unreadable: then the server closes it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np

from khive_supervisor.embed.base import EmbedderBusy, Vectors
from khive_supervisor.errors import InvalidInput, KhiveError, ProtocolError, from_dict
from khive_supervisor.text.plain_json import JsonObject

#: Raised when a frame changes its meaning.
PROTOCOL = 1
#: Texts of one request: half a second of work, or more for the longest.
MAX_TEXTS = 64
#: Characters of one request's texts; JSON needs up to twelve bytes for each.
MAX_CHARACTERS = 512 * 1024

HELLO, TEXTS, VECTORS, ERROR = b"H", b"T", b"V", b"E"
#: Vectors cross as this, whatever the machine's own order is.
_FLOATS = np.dtype("<f4")
_LENGTH = struct.Struct(">I")


def frame(kind: bytes, rest: bytes) -> bytes:
    """Return a frame, ready to send."""
    return _LENGTH.pack(1 + len(rest)) + kind + rest


def hello(model_id: str, dimensions: int) -> bytes:
    """Return the frame that a server begins with."""
    metadata = {"protocol": PROTOCOL, "model_id": model_id, "dimensions": dimensions}
    return frame(HELLO, json.dumps(metadata).encode())


def read_hello(received: bytes) -> tuple[str, int]:
    """Return the model's id and dimensions from a server's first frame.

    Raises:
        KhiveError: the server refused the connection, and says why.
        ProtocolError: this is no greeting that this release understands.
    """
    metadata = _server_json(received, HELLO)
    try:
        if metadata["protocol"] != PROTOCOL:
            raise ProtocolError(
                f"The embedder speaks protocol {metadata['protocol']!r}, this side {PROTOCOL}.",
                hint="Two releases are running: `khive-supervisor stop` ends the older one.",
            )
        return str(metadata["model_id"]), int(metadata["dimensions"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"The embedder's greeting is not one: {error!r}.") from None


def request(texts: Sequence[str]) -> bytes:
    """The frame that asks for vectors; a text may hold anything that a str can, even surrogates."""
    return frame(TEXTS, json.dumps(list(texts), separators=(",", ":")).encode())


def read_request(received: bytes) -> list[str]:
    """Return the texts of a client's frame.

    Raises:
        InvalidInput: the frame holds something else; the connection can go on.
    """
    if received[:1] != TEXTS:
        raise InvalidInput(f"A frame of an unknown kind: {received[:1]!r}.", hint=_REQUEST_HINT)
    try:
        texts = json.loads(received[1:])
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The request is not JSON: {error}.", hint=_REQUEST_HINT) from None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("The request is not a list of texts.", hint=_REQUEST_HINT)
    if len(texts) > MAX_TEXTS:
        raise InvalidInput(f"The request has {len(texts)} texts.", hint=_REQUEST_HINT)
    return texts


_REQUEST_HINT = f"Send T and a JSON list of at most {MAX_TEXTS} texts."


def vectors(rows: Vectors) -> bytes:
    """Return the frame that answers with vectors."""
    return frame(VECTORS, np.ascontiguousarray(rows, _FLOATS).tobytes())


def failure(error: KhiveError) -> bytes:
    """Return the frame that answers with an error."""
    return frame(ERROR, json.dumps(error.as_dict()).encode())


def read_vectors(received: bytes, count: int, dimensions: int) -> Vectors:
    """Return the answer to a request of `count` texts: float32 (count, dimensions).

    Raises:
        KhiveError: what the server answered instead.
        ProtocolError: the answer does not fit the request.
    """
    if received[:1] != VECTORS:
        _server_json(received, VECTORS)
    if len(received) != 1 + count * dimensions * _FLOATS.itemsize:
        raise ProtocolError(
            f"The embedder sent {len(received) - 1} bytes for {count} vectors of {dimensions}."
        )
    flat = np.frombuffer(received, _FLOATS, offset=1)
    return flat.astype(np.float32).reshape(count, dimensions)


def _server_json(received: bytes, expected: bytes) -> JsonObject:
    """Return the object in a server's frame; an error among them is raised."""
    kind = received[:1]
    try:
        content = json.loads(received[1:]) if kind in (expected, ERROR) else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ProtocolError(f"The embedder sent an unreadable frame of kind {kind!r}.")
    if kind == ERROR:
        busy = content.get("code") == EmbedderBusy.code
        error = from_dict(content)
        raise EmbedderBusy(error.message, hint=error.hint) if busy else error
    return content
