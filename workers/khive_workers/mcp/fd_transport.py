"""MCP over two descriptors, as asyncio: lines of JSON-RPC in, lines out, no threads.

Bad input is answered, never fatal: a line that is not JSON-RPC gets a parse error, a line that is
too long is skipped and answered, half a line before the end is dropped.

The SDK's server reads and writes here directly: a stream of objects in between would take several
turns of the loop for each call.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import AsyncResource, ObjectReceiveStream
from mcp.shared.message import SessionMessage
from mcp.types import (
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from khive_supervisor.text import wellformed
from khive_workers.mcp.inbox import Inbox, LineRefusal
from khive_workers.mcp.line_writer import LineWriter
from khive_workers.mcp.received import complaint, probable_id, received

#: Seconds that answers to requests already received may take after the client closed its stdin:
#: below the 2 s after which clients end the process.
LINGER = 1.5
#: Calls in work at once; more are not read meanwhile, so that a client that asks and never reads
#: the answers fills its own pipe and not our memory.
MAX_OPEN = 256

#: Requests by which a client says what it wants to hear of: the next worker hears of them, too.
SUBSCRIBING = frozenset({"resources/subscribe", "resources/unsubscribe", "subscriptions/listen"})
#: Requests that are answered only when their stream ends: nobody waits for them at the end.
ENDLESS = frozenset({"subscriptions/listen"})

_PARSE_ERROR, _INVALID_REQUEST, _INVALID_PARAMS = -32700, -32600, -32602


def _hung_up(fd: int) -> bool:
    """Return True if the other end of a pipe is closed, although there may be more to read."""
    poll = select.poll()
    poll.register(fd, 0)  # the end is always reported
    return bool(poll.poll(0))


@dataclass(slots=True)
class TrafficObserver:
    """What the session channel wants to know of the traffic."""

    on_handshake: Callable[[bytes], None]
    on_request: Callable[[Any], None]
    on_answer: Callable[[Any], None]
    #: A request by which the client wants to hear of something, or no longer.
    on_subscribing: Callable[[bytes], None] = lambda _line: None


class FdTransport:
    """The client's stdin and stdout; `incoming` and `outgoing` are what the SDK's server takes.

    `handshake`, `lost` and `standing` are what a worker before this one has left: the client's
    handshake, the ids of the calls that it did not answer, and what the client wants to hear of.
    """

    def __init__(
        self,
        read_fd: int,
        write_fd: int,
        inbox: Inbox,
        limit: int,
        observer: TrafficObserver,
        handshake: bytes = b"",
        lost: Sequence[Any] = (),
        standing: Sequence[bytes] = (),
    ) -> None:
        self._read_fd = read_fd
        self._inbox = inbox
        self._limit = limit
        self._observer = observer
        self._handshake, self._lost, self._standing = handshake, list(lost), list(standing)
        self._succeeded = False
        self._ready: deque[JSONRPCMessage] = deque()
        self._open: set[Any] = set()
        self._swallow: set[Any] = set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._answered = asyncio.Event()
        self._arrival: asyncio.Future[int] | None = None
        self._watched = self._has_read = False
        self._writer = LineWriter(write_fd)
        self.incoming = Incoming(self)
        self.outgoing = Outgoing(self)
        os.set_blocking(read_fd, False)

    @property
    def idle(self) -> bool:
        """Return True if it only waits for the client: nothing is asked, owed, or half said."""
        waits = self._arrival is not None and not self._arrival.done()
        return waits and not (self._open or self._ready) and not self._writer.busy

    def when_gone(self, act: Callable[[], None]) -> None:
        """Say what is to be done when the client does not read any more."""
        self._writer.on_gone = act

    # --- in -------------------------------------------------------------------------------------

    async def receive(self) -> JSONRPCMessage | None:
        """The client's next message; None when it has closed, after its last answer (or LINGER)."""
        await self._succeed()
        while not self._ready:
            if not await self._has_room():
                return None
            line = self._inbox.peek()
            if line is None:
                if await self._fill():
                    continue
                with anyio.move_on_after(LINGER):
                    await self._settled.wait()
                return None
            # Dropped only when it is noted, or answered: whatever is killed meanwhile, the next
            # worker finds it.
            message = await self._take(line)
            self._inbox.drop()
            if message is not None:
                return message
        return self._ready.popleft()

    async def _fill(self) -> bool:
        """Take what the client has sent; waits for it. False at the end."""
        if self._has_read:
            # Calls begin before more is read, however fast the client is.
            await asyncio.sleep(0)
        try:
            count = self._inbox.read(self._read_fd)
        except BlockingIOError:
            count = await self._arrives()
        except OSError:
            count = 0
        self._has_read = count > 0
        return count > 0

    async def _arrives(self) -> int:
        loop = asyncio.get_running_loop()
        self._arrival = loop.create_future()
        if not self._watched:
            loop.add_reader(self._read_fd, self._on_readable)
            self._watched = True
        try:
            return await self._arrival
        finally:
            self._arrival = None

    def _on_readable(self) -> None:
        if self._arrival is None or self._arrival.done():
            self._unwatch()  # nobody wants it now; the loop would turn for nothing
            return
        try:
            count = self._inbox.read(self._read_fd)
        except BlockingIOError:
            return
        except OSError:
            count = 0
        self._arrival.set_result(count)

    def _unwatch(self) -> None:
        if self._watched:
            asyncio.get_running_loop().remove_reader(self._read_fd)
            self._watched = False

    @property
    def quiet(self) -> bool:
        """Return True if nothing is at work: each call read is answered, and the answer out."""
        return not (self._open or self._ready or self._swallow or self._writer.busy)

    def close(self) -> None:
        """Let the loop forget the pipe; idempotent."""
        self._unwatch()

    async def _take(self, line: bytes | LineRefusal) -> JSONRPCMessage | None:
        """Understand a line and note it, or answer it here if it is no message."""
        if isinstance(line, LineRefusal):
            why = f"a message may have at most {self._limit} bytes"
            whose = probable_id(*self._inbox.ends)
            await self._answer_error(whose, _INVALID_REQUEST, f"Message too large: {why}.")
            return None
        if not line.strip():
            return None
        line = received(line)
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            if isinstance(message, JSONRPCNotification) and "id" in json.loads(line):
                raise ValueError("the id is neither text nor a number")
        except (ValidationError, ValueError, RecursionError) as error:
            await self._answer_malformed(line, error)
            return None
        if isinstance(message, JSONRPCRequest):
            wrong = complaint(message.method, message.params)
            if wrong is not None:
                await self._answer_error(message.id, _INVALID_PARAMS, wrong)
                return None
            if message.method == "initialize":
                self._observer.on_handshake(line)
            if message.method in SUBSCRIBING:
                self._observer.on_subscribing(line)
            if message.method not in ENDLESS:
                self._observer.on_request(message.id)
                self._open.add(message.id)
                self._settled.clear()
        elif getattr(message, "method", None) == "notifications/cancelled":
            self._finish((getattr(message, "params", None) or {}).get("requestId"))
        return message

    async def _has_room(self) -> bool:
        """Wait until there are fewer open calls; False when nobody can want them any more."""
        while len(self._open) >= MAX_OPEN:
            self._answered.clear()
            with anyio.move_on_after(LINGER):
                await self._answered.wait()
                continue
            if _hung_up(self._read_fd):
                return False
        return True

    async def _answer_malformed(self, line: bytes, error: Exception) -> None:
        """JSON that is no JSON-RPC gets an invalid-request error with its id, if it has one."""
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            whose = probable_id(line, line)
            await self._answer_error(
                whose, _PARSE_ERROR, f"Parse error: the line is not JSON ({_unread(error)})."
            )
            return
        identifier = data.get("id") if isinstance(data, dict) else None
        if not isinstance(identifier, str | int):
            identifier = None
        why = _unread(error)
        await self._answer_error(
            identifier, _INVALID_REQUEST, f"Invalid request: no JSON-RPC 2.0 message ({why})."
        )

    # --- a worker that follows another ----------------------------------------------------------

    async def _succeed(self) -> None:
        """Answer what the last worker owes, and give the server what the client has said to it.

        Once: later calls do nothing.
        """
        if self._succeeded:
            return
        self._succeeded = True
        await self._shake_hands_again()
        for number, line in enumerate(self._standing):
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            if isinstance(message, JSONRPCRequest) and message.method not in ENDLESS:
                # Answered before: under a name of ours, and the answer goes nowhere.
                message = message.model_copy(update={"id": f"khive-again-{number}"})
                self._swallow.add(message.id)
            self._ready.append(message)

    async def _shake_hands_again(self) -> None:
        handshake, lost = self._handshake, self._lost
        first = self._inbox.peek()
        first = received(first) if isinstance(first, bytes) else None
        noted = _request_id(first) if first is not None else None
        if (noted is not None and noted in lost) or first in self._standing:
            self._inbox.drop()  # noted, and then there was no time to drop it
        message = None
        if handshake:
            message = jsonrpc_message_adapter.validate_json(handshake, by_name=False)
        identifier = getattr(message, "id", None)
        for one in lost:
            if message is None or one != identifier:
                await self._answer_lost(one)
        if message is None or (first == handshake and noted not in lost):
            return  # it is still to be taken
        if identifier in lost:
            await self._take(handshake)  # it was never answered: the server does that now
        else:
            self._swallow.add(identifier)
            self._observer.on_handshake(handshake)
        self._ready.append(message)
        if identifier not in lost:
            self._ready.append(
                JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
            )

    async def _answer_lost(self, identifier: Any) -> None:
        await self._answer_error(
            identifier,
            -32603,
            "The session's worker was lost during this call and has been replaced. The call may "
            "or may not have taken effect: look before you repeat it.",
        )
        self._observer.on_answer(identifier)

    # --- out ------------------------------------------------------------------------------------

    async def send(self, message: JSONRPCMessage) -> None:
        """Write what the server sends; raises BrokenResourceError if the client is gone."""
        identifier = None
        if not isinstance(message, JSONRPCRequest | JSONRPCNotification):
            identifier = message.id
            if identifier in self._swallow:
                self._swallow.discard(identifier)
                return
        data = wellformed.json_line(_serialized(message))

        def written() -> None:
            if identifier is not None:
                self._finish(identifier)

        if not await self._writer.write(data, written):
            raise anyio.BrokenResourceError

    def _finish(self, identifier: Any) -> None:
        self._observer.on_answer(identifier)
        self._open.discard(identifier)
        self._answered.set()
        if not self._open:
            self._settled.set()

    async def _answer_error(self, identifier: Any, code: int, text: str) -> None:
        error = {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": text}}
        await self._writer.write(wellformed.json_bytes(json.dumps(error).encode()))


def _serialized(message: JSONRPCMessage) -> bytes:
    """Return a message as JSON, whatever is in it: who waits for an answer gets one."""
    try:
        return message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    except PydanticSerializationError:
        plain = message.model_dump(by_alias=True, exclude_unset=True)
        return json.dumps(wellformed.data(plain), default=repr).encode()


def _unread(error: Exception) -> str:
    """Return why a line is no message, in few words."""
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    if error.error_count() > 1:
        return 'it needs "jsonrpc": "2.0" and a method, with params that are an object if any'
    return str(error.errors(include_url=False, include_input=False)[0]["msg"])


def _request_id(line: bytes) -> str | int | None:
    """Return the id of a line that is a request, or None."""
    try:
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except (ValidationError, ValueError, RecursionError):
        return None
    return message.id if isinstance(message, JSONRPCRequest) else None


class Incoming(ObjectReceiveStream[SessionMessage | Exception]):
    """A transport as the SDK's `ReadStream`."""

    def __init__(self, transport: FdTransport) -> None:
        self._transport = transport

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message; EndOfStream after the last."""
        message = await self._transport.receive()
        if message is None:
            raise anyio.EndOfStream
        return SessionMessage(message)

    async def aclose(self) -> None:
        """Read nothing more."""
        self._transport.close()


class Outgoing(AsyncResource):
    """A transport as the SDK's `WriteStream`."""

    def __init__(self, transport: FdTransport) -> None:
        self._transport = transport

    async def send(self, item: SessionMessage) -> None:
        """Write a message to the client; returns when the pipe has taken it."""
        await self._transport.send(item.message)

    async def aclose(self) -> None:
        """The descriptor is not ours to close."""
