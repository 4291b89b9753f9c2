"""MCP over two descriptors, as asyncio: lines of JSON-RPC in, lines out, no threads.

Bad input is answered, never fatal: a line that is not JSON-RPC gets a parse error, a line that is
too long is skipped and answered, half a line before the end is dropped.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

#: Bytes taken from the pipe at once; a Linux pipe holds as many.
CHUNK = 1 << 16
#: Seconds that answers to requests already received may take after the client closed its stdin:
#: below the 2 s after which clients end the process.
LINGER = 1.5
#: Calls in work at once; more are not read meanwhile, so that a client that asks and never reads
#: the answers fills its own pipe and not our memory.
MAX_OPEN = 256

#: Requests that are answered only when their stream ends: nobody waits for them at the end.
ENDLESS = frozenset({"subscriptions/listen"})

_PARSE_ERROR, _INVALID_REQUEST = -32700, -32600


@dataclass(slots=True)
class Lines:
    """Cut a byte stream into lines; pure. A line longer than `limit` becomes None."""

    limit: int
    _buffer: bytearray = field(default_factory=bytearray)
    _scanned: int = 0
    _skipping: bool = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that are complete now, without their ends; None stands for one too long."""
        self._buffer += data
        lines: list[bytes | None] = []
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            too_long, self._skipping = self._skipping or len(line) > self.limit, False
            lines.append(None if too_long else line)
        self._scanned = len(self._buffer)
        if self._scanned > self.limit:
            self._buffer.clear()
            self._scanned = 0
            self._skipping = True
        return lines


def _hung_up(fd: int) -> bool:
    """Whether the other end of a pipe is closed, although there may be more to read."""
    poll = select.poll()
    poll.register(fd, 0)  # the end is always reported
    return bool(poll.poll(0))


@dataclass(slots=True)
class Observer:
    """What the session channel wants to know of the traffic."""

    on_handshake: Callable[[bytes], None]
    on_request: Callable[[Any], None]
    on_answer: Callable[[Any], None]


class FdTransport:
    """The client's stdin and stdout as the streams that the SDK's server takes."""

    def __init__(self, read_fd: int, write_fd: int, limit: int, observer: Observer) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._lines = Lines(limit)
        self._limit = limit
        self._observer = observer
        self._open: set[Any] = set()
        self._swallow: set[Any] = set()
        self._settled = asyncio.Event()
        self._settled.set()
        self._answered = asyncio.Event()
        self._write_lock = asyncio.Lock()
        self._incoming, self.read_stream = anyio.create_memory_object_stream[
            SessionMessage | Exception
        ](0)
        self.write_stream, self._outgoing = anyio.create_memory_object_stream[SessionMessage](0)
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)

    # --- in -------------------------------------------------------------------------------------

    async def read(self, resume: bytes, lost: list[Any]) -> None:
        """Feed the server until the client closes; returns after its last answer (or LINGER)."""
        async with self._incoming:
            try:
                await self._succeed(resume, lost)
                async for line in self._read_lines():
                    await self._take(line)
                with anyio.move_on_after(LINGER):
                    await self._settled.wait()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the server has ended first, or nobody waits for answers

    async def _read_lines(self) -> AsyncIterator[bytes | None]:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._read_fd, ready.set)
        except PermissionError:
            pass  # a regular file or /dev/null: never blocks, and epoll refuses it
        try:
            while True:
                try:
                    chunk = os.read(self._read_fd, CHUNK)
                except BlockingIOError:
                    ready.clear()
                    await ready.wait()
                    continue
                except OSError:
                    return
                if not chunk:
                    return
                for line in self._lines.feed(chunk):
                    yield line
        finally:
            loop.remove_reader(self._read_fd)

    async def _take(self, line: bytes | None) -> None:
        if line is None:
            why = f"a message may have at most {self._limit} bytes"
            await self._answer_error(None, _INVALID_REQUEST, f"Message too large: {why}.")
            return
        if not line.strip():
            return
        # Noted before anything else: a worker that is killed between reading a call and noting it
        # would leave its client waiting for ever, and understanding the call takes a while.
        early = _request_id(line)
        if early is not None:
            self._observer.on_request(early)
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            if isinstance(message, JSONRPCNotification) and "id" in json.loads(line):
                raise ValueError("the id is neither text nor a number")
        except (ValidationError, ValueError, RecursionError) as error:
            await self._answer_malformed(line, error)
            if early is not None:
                self._observer.on_answer(early)
            return
        method = getattr(message, "method", None)
        identifier = getattr(message, "id", None)
        if method == "initialize":
            self._observer.on_handshake(line)
        if method == "notifications/cancelled":
            self._finish((getattr(message, "params", None) or {}).get("requestId"))
        if method is not None and identifier is not None:
            if early is None:
                self._observer.on_request(identifier)
            if method not in ENDLESS:
                self._open.add(identifier)
                self._settled.clear()
        await self._incoming.send(SessionMessage(message))
        await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        """Wait until there are fewer open calls; raises when nobody can want them any more."""
        while len(self._open) >= MAX_OPEN:
            self._answered.clear()
            with anyio.move_on_after(LINGER):
                await self._answered.wait()
                continue
            if _hung_up(self._read_fd):
                raise anyio.ClosedResourceError

    async def _answer_malformed(self, line: bytes, error: Exception) -> None:
        """JSON that is no JSON-RPC gets an invalid-request error with its id, if it has one."""
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            await self._answer_error(None, _PARSE_ERROR, "Parse error: the line is not JSON.")
            return
        identifier = data.get("id") if isinstance(data, dict) else None
        if not isinstance(identifier, str | int):
            identifier = None
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        await self._answer_error(
            identifier, _INVALID_REQUEST, f"Invalid request: no JSON-RPC 2.0 message ({why})."
        )

    # --- a worker that follows another ----------------------------------------------------------

    async def _succeed(self, handshake: bytes, lost: list[Any]) -> None:
        """Answer what the last worker owes, and give the server the handshake made with it."""
        message = None
        if handshake:
            message = jsonrpc_message_adapter.validate_json(handshake, by_name=False)
        identifier = getattr(message, "id", None)
        for one in lost:
            if message is None or one != identifier:
                await self._answer_lost(one)
        if message is not None and identifier in lost:
            await self._take(handshake)  # it was never answered: the server does that now
        elif message is not None:
            self._swallow.add(identifier)
            await self._replay(handshake, message)

    async def _replay(self, handshake: bytes, message: JSONRPCMessage) -> None:
        """The handshake and its end, with an answer that the client has got already."""
        self._observer.on_handshake(handshake)
        await self._incoming.send(SessionMessage(message))
        initialized = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
        await self._incoming.send(
            SessionMessage(jsonrpc_message_adapter.validate_json(initialized, by_name=False))
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

    async def write(self) -> None:
        """Write what the server sends until it is done or the client is gone."""
        async with self._outgoing:
            async for item in self._outgoing:
                message: JSONRPCMessage = item.message
                identifier = getattr(message, "id", None)
                answer = identifier is not None and not hasattr(message, "method")
                if answer and identifier in self._swallow:
                    self._swallow.discard(identifier)
                    continue
                data = message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                if not await self._write_line(data):
                    return
                if answer:
                    self._finish(identifier)

    def _finish(self, identifier: Any) -> None:
        self._observer.on_answer(identifier)
        self._open.discard(identifier)
        self._answered.set()
        if not self._open:
            self._settled.set()

    async def _answer_error(self, identifier: Any, code: int, text: str) -> None:
        error = {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": text}}
        await self._write_line(json.dumps(error).encode())

    async def _write_line(self, line: bytes) -> bool:
        """Write one line whole; False when the client is gone."""
        async with self._write_lock:
            rest = memoryview(line + b"\n")
            while rest:
                try:
                    rest = rest[os.write(self._write_fd, rest) :]
                except BlockingIOError:
                    await self._writable()
                except OSError:
                    return False
        return True

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._write_fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._write_fd)


def _request_id(line: bytes) -> str | int | None:
    """The id of a line that looks like a request, or None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or "method" not in message:
        return None
    identifier = message.get("id")
    return identifier if isinstance(identifier, str) or type(identifier) is int else None
