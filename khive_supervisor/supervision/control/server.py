"""The control socket: who connects, and what becomes of the connection.

attach and verbs connections are handed to a worker; a worker's stays as its link; control
connections are answered here. docs/protocol.md describes the messages.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor import logs
from khive_supervisor.control import protocol
from khive_supervisor.errors import (
    Denied,
    InvalidInput,
    KhiveError,
    OtherStore,
    ProtocolError,
    StoreUnavailable,
    VersionMismatch,
)
from khive_supervisor.host import descriptors
from khive_supervisor.supervision.control.belonging import Elsewhere
from khive_supervisor.supervision.control.socket_file import Rendezvous, peer_uid
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.control")

#: Seconds in which a client must have sent its hello.
HELLO_DEADLINE = 10.0
#: The same for those whose connection was accepted when nobody is accepted any more.
GREETING_PATIENCE = 1.0
#: Seconds without accepting when there are no descriptors left; clients wait in the queue.
ACCEPT_PAUSE = 0.2
#: A hello is small; nobody needs more before it is known who is there.
MAX_HELLO = 1 << 20

#: What a hello may say, and of which type; frames of others than this project are possible.
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "pid": int,
    "cwd": str,
    "config": (str, type(None)),
    "store": (str, type(None)),
    "default_store": str,
    "acks": bool,
    "hook": bool,
    "env": dict,
    "state": str,
    "lost": list,
    "session": str,
    "worker": str,
    "info": dict,
    "ignored": list,
}

Operation = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True)
class Arrival:
    """A connection whose hello has been read; owns its descriptors until they are given away."""

    conn: socket.socket
    hello: JsonObject
    fds: list[int]

    @property
    def kind(self) -> str:
        """What the client wants to be."""
        return str(self.hello.get("kind"))

    def close(self) -> None:
        """Close the descriptors and the connection; idempotent."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.conn.close()


#: Takes over an arrival of one kind.
Handler = Callable[[Arrival], Awaitable[None]]


@dataclass(slots=True)
class ControlServer:
    """Accepts connections, reads each one's hello and hands it to the handler of its kind."""

    rendezvous: Rendezvous
    handlers: Mapping[str, Handler]
    #: Told of each hello that is understood: who comes may be of another release.
    on_hello: Callable[[Mapping[str, Any]], None] = lambda _hello: None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    #: Connections that are not with their handler yet.
    _greeting: int = 0
    _greeted: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, kept: int | None = None) -> None:
        """Have clients wait at the socket: at one that this process kept, or a new one.

        Raises:
            KhiveError, OSError: it cannot be had; see `Rendezvous.bind`.
        """
        if kept is None or not self.rendezvous.adopt(kept):
            self.rendezvous.bind()

    def start(self) -> None:
        """Accept who waits, from now on."""
        asyncio.get_running_loop().add_reader(self.rendezvous.listener, self._accept)

    def listen_again(self) -> None:
        """Accept at a new socket, since the old one's file is gone; raises as `listen` does."""
        before = self.rendezvous.listener
        self.rendezvous.bind()
        asyncio.get_running_loop().remove_reader(before)
        before.close()
        self.start()

    def _accept(self) -> None:
        try:
            conn, _ = self.rendezvous.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # out of descriptors: asking again at once would only spin
            log.error("control.accept_failed", error=str(error))
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.rendezvous.listener)
            loop.call_later(ACCEPT_PAUSE, self._accept_again)
            return
        conn.setblocking(False)
        task = asyncio.create_task(self._serve(conn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept_again(self) -> None:
        if self.rendezvous.listener.fileno() >= 0:
            self.start()

    async def _serve(self, conn: socket.socket) -> None:
        arrival = Arrival(conn, {}, [])
        try:
            handler = await self._greet(arrival)
            if handler is None:
                raise ProtocolError(f"A hello of the unknown kind {arrival.kind!r}.")
            await handler(arrival)
        except TimeoutError:
            log.warning("control.no_hello", seconds=HELLO_DEADLINE)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.debug("control.client_left", kind=arrival.kind)
        except KhiveError as error:
            log.warning("control.refused", kind=arrival.kind, error=str(error))
            await _tell(arrival, error)
        except OSError as error:  # no process or descriptor could be had for this one
            log.error("control.failed", kind=arrival.kind, error=str(error))
            await _tell(arrival, StoreUnavailable(f"The supervisor could not do this: {error}."))
        finally:
            arrival.close()

    async def _greet(self, arrival: Arrival) -> Handler | None:
        """Read and check the hello, and find who it is for."""
        self._greeting += 1
        try:
            _check_user(arrival.conn)
            await asyncio.wait_for(_read_hello(arrival), HELLO_DEADLINE)
            self.on_hello(arrival.hello)
            _check_hello(arrival)
            return self.handlers.get(arrival.kind)
        finally:
            self._greeting -= 1
            self._greeted.set()

    async def pause(self) -> None:
        """Accept nobody any more: who comes waits at the socket, which stays open.

        Whose hello is under way is served still; what is being answered ends.
        """
        asyncio.get_running_loop().remove_reader(self.rendezvous.listener)
        try:
            async with asyncio.timeout(GREETING_PATIENCE):
                while self._greeting:
                    self._greeted.clear()
                    await self._greeted.wait()
        except TimeoutError:
            log.warning("control.no_hello", seconds=GREETING_PATIENCE)
        await self._end_tasks()

    async def stop(self) -> None:
        """Accept nobody any more and end what is being answered."""
        asyncio.get_running_loop().remove_reader(self.rendezvous.listener)
        self.rendezvous.listener.close()
        await self._end_tasks()

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _check_user(conn: socket.socket) -> None:
    uid = peer_uid(conn)
    if uid is not None and uid != os.getuid():
        raise Denied(f"uid {uid} is not this supervisor's user.", hint="Start your own.")


def _check_hello(arrival: Arrival) -> None:
    """Refuse what no release says; releases of one protocol serve each other."""
    hello = arrival.hello
    wrong = [n for n, kind in _FIELDS.items() if n in hello and not isinstance(hello[n], kind)]
    texts = [*hello.get("env", {}).values(), *hello.get("lost", ())] if not wrong else []
    missing = [n for n in ("session", "pid") if arrival.kind == "worker" and n not in hello]
    if wrong or missing or not all(isinstance(text, str) for text in texts):
        named = ", ".join(wrong + missing) or "env, lost"
        raise ProtocolError(f"The hello's {named} cannot be understood.")


async def _read_hello(arrival: Arrival) -> None:
    """Read the first frame and not a byte more: what follows is for whom the client is given to."""
    head = await _read_exactly(arrival, 4)
    length = int.from_bytes(head, "big")
    if length > MAX_HELLO:
        raise ProtocolError(f"A hello of {length} bytes; at most {MAX_HELLO} are allowed.")
    try:
        (arrival.hello,) = protocol.FrameDecoder().feed(head + await _read_exactly(arrival, length))
    except VersionMismatch as error:
        arrival.hello = {"kind": error.kind}
        raise


async def _read_exactly(arrival: Arrival, count: int) -> bytes:
    """Read so many bytes; descriptors that come with them are the arrival's, closed on exec."""
    data = b""
    while len(data) < count:
        await _readable(arrival.conn)
        try:
            left = count - len(data)
            received, fds = descriptors.receive(arrival.conn, left, protocol.MAX_FDS)
        except BlockingIOError:  # nothing yet after all
            continue
        arrival.fds += fds
        if not received:
            raise ConnectionResetError
        data += received
    return data


async def _readable(conn: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(conn, wake)
    try:
        await ready
    finally:
        loop.remove_reader(conn)


async def _tell(arrival: Arrival, error: KhiveError) -> None:
    """Say why, in the form that the other side reads."""
    if arrival.kind == "attach":
        text = " ".join(str(error).split())
        data = f"E {error.exit_code} {text}\n".encode("utf-8", "backslashreplace")
    else:
        data = protocol.encode({"error": error.as_dict()})
    await _send(arrival, data)


async def _send(arrival: Arrival, data: bytes) -> None:
    try:
        await asyncio.wait_for(
            asyncio.get_running_loop().sock_sendall(arrival.conn, data), HELLO_DEADLINE
        )
    except (OSError, TimeoutError):
        log.debug("control.client_left", kind=arrival.kind)


def acknowledge(arrival: Arrival) -> bool:
    """Say that an attach or verbs client is taken; False if it has given us up meanwhile.

    One that has shut its side cannot be told: it serves itself, and nobody else may.
    """
    if not arrival.hello.get("acks"):
        return True
    data = b"T\n" if arrival.kind == "attach" else protocol.encode({"taken": os.getpid()})
    try:
        return arrival.conn.send(data) == len(data)
    except OSError:
        return False


async def redirect(arrival: Arrival, elsewhere: Elsewhere) -> None:
    """Send a client to the supervisor of the store that it means, or to start one for it."""
    log.info("control.elsewhere", kind=arrival.kind, store=elsewhere.store)
    if arrival.kind == "attach":
        record = f"R 0 {elsewhere.socket}\n".encode("utf-8", "surrogateescape")
        await _send(arrival, record)
        return
    where = f" Ask at {elsewhere.socket}." if elsewhere.socket else ""
    raise OtherStore(
        f"The supervisor here (pid {os.getpid()}) does not serve {elsewhere.store}.{where}",
        hint="`khive-supervisor start --background` starts one for it.",
    )


async def streams(arrival: Arrival) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The arrival's connection as asyncio streams, which own it from now on."""
    conn = arrival.conn
    arrival.conn = conn.dup()  # the arrival closes its own copy
    return await asyncio.open_connection(sock=conn)


async def answer_requests(arrival: Arrival, operations: Mapping[str, Operation]) -> None:
    """Answer a control connection until the client leaves."""
    reader, writer = await streams(arrival)
    decoder = protocol.FrameDecoder()
    try:
        while data := await reader.read(65536):
            for message in decoder.feed(data):
                writer.write(protocol.encode(await _answer(message, operations)))
                await writer.drain()
    finally:
        writer.close()


async def _answer(message: JsonObject, operations: Mapping[str, Operation]) -> JsonObject:
    name = str(message.get("op"))
    operation = operations.get(name)
    try:
        if operation is None:
            raise InvalidInput(
                f"The supervisor has no operation {name!r}.",
                hint=f"It has: {', '.join(sorted(operations))}.",
            )
        args = message.get("args") or {}
        if not isinstance(args, dict):
            raise InvalidInput(f"The arguments of {name!r} are no object.")
        return {"id": message.get("id"), "result": await operation(args)}
    except KhiveError as error:
        return {"id": message.get("id"), "error": error.as_dict()}
