"""Connections that are slow, or only hold a place, against those that are served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest
from khive_workers.http.connection import Connections
from support import run
from uvicorn import Config

GOOD = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"
Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Server:
    """Connections on a port of their own, before an application that trusts `/ok`."""

    def __init__(self, limit: int, deadline: float) -> None:
        config = Config(
            self._app,
            interface="asgi3",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
        )
        config.load()
        self.connections = Connections(config, limit, deadline)
        self.go_on = asyncio.Event()
        self.begun = asyncio.Event()
        self._opened: list[asyncio.StreamWriter] = []

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            self.begun.set()
            await self.go_on.wait()
        while scope["path"] == "/read" and (await receive()).get("more_body"):
            pass
        if scope["path"] == "/ok":
            scope["state"]["connection"].trusted = True
        body = b"x" * (1 << 25 if scope["path"] == "/much" else 2)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def open(self, data: bytes = b"") -> Pair:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._opened.append(writer)
        writer.write(data)
        return reader, writer

    async def answered(self, pair: Pair, data: bytes = GOOD) -> bool:
        pair[1].write(data)
        head = await pair[0].readuntil(b"\r\n\r\n")
        return head.startswith(b"HTTP/1.1 200") and await pair[0].readexactly(2) == b"xx"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.connections.make, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.go_on.set()
        self._server.close()
        await self.connections.end(5.0)
        for writer in self._opened:
            writer.close()


def serve(
    main: Callable[[Server], Awaitable[None]], limit: int = 8, deadline: float = 60.0
) -> None:
    async def serving() -> None:
        async with Server(limit, deadline) as server:
            await main(server)

    run(serving())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the server under test tells nobody
        await asyncio.sleep(0.01)


async def gone(pair: Pair) -> bool:
    try:
        while await pair[0].read(1 << 16):
            pass
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /ok HT",
        b"GET /ok HTTP/1.1\r\nHost: x\r\nContent-Le",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
        GOOD + b"GET /ok HTT",
    ],
)
def test_a_request_that_is_not_whole_in_time_ends_the_connection(data: bytes) -> None:
    async def main(server: Server) -> None:
        assert await gone(await server.open(data))
        assert server.connections.late == 1

    serve(main, deadline=0.05)


def test_a_byte_now_and_then_does_not_stop_the_clock() -> None:
    async def main(server: Server) -> None:
        pair = await server.open(b"GET /ok HTTP/1.1\r\n")
        drip = asyncio.ensure_future(dripping(pair[1]))
        assert await gone(pair)
        drip.cancel()

    async def dripping(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"X-A: b\r\n")
            await asyncio.sleep(0.01)

    serve(main, deadline=0.2)


def test_an_answer_that_nobody_reads_ends_the_connection() -> None:
    async def main(server: Server) -> None:
        pair = await server.open(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n")
        pair[1].transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport
        await until(lambda: server.connections.late > 0)
        assert not server.connections.open

    serve(main, deadline=0.05)


def test_a_request_at_work_and_a_connection_between_requests_are_not_late() -> None:
    async def main(server: Server) -> None:
        waits, idle = await server.open(), await server.open()
        waits[1].write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await server.answered(idle)
        await server.begun.wait()
        slow = await server.open()
        assert await gone(slow), "the same deadline has passed for all"
        server.go_on.set()
        assert (await waits[0].readline()).startswith(b"HTTP/1.1 200")
        assert await server.answered(idle)

    serve(main, deadline=0.1)


def test_when_all_places_are_taken_the_oldest_stranger_makes_room() -> None:
    async def main(server: Server) -> None:
        trusted = await server.open()
        assert await server.answered(trusted)
        strangers = [await server.open(b"GET /o") for _ in range(3)]
        await until(lambda: len(server.connections.open) == 4)
        good = await server.open()
        assert await server.answered(good)
        assert await gone(strangers[0])
        assert server.connections.evicted == 1
        assert await server.answered(trusted), "who has shown the token stays"

    serve(main, limit=4)


def test_when_all_places_are_at_work_one_more_is_turned_away() -> None:
    async def main(server: Server) -> None:
        for _ in range(4):
            await server.open(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: sum(one.at_work for one in server.connections.open) == 4)
        assert await gone(await server.open(GOOD))
        assert server.connections.evicted == 0

    serve(main, limit=4)
