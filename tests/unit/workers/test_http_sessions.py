"""MCP sessions over HTTP give way to new clients, the idle ones, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.http.sessions import HttpSessions

from khive_supervisor.access import tokens

#: A patience that no test waits for, and one that is over at once.
LONG, NONE = 60.0, 0.0


class Manager:
    """The SDK's part: opens, serves and ends sessions, and refuses one more than there may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open: dict[str, Any] = {}
        self.ended: list[str] = []
        self.opened = 0
        #: What requests wait for that are to be at work for a while.
        self.hold: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        session = headers.get(b"mcp-session-id", b"").decode()
        status, more = 200, []
        if b"mcp-protocol-version" in headers and headers[b"mcp-protocol-version"] > b"2026":
            pass
        elif not session:
            if len(self.open) >= self.limit:
                status = 503
            else:
                self.opened += 1
                session = f"s{self.opened}"
                self.open[session] = scope.get("user")
                more = [(b"mcp-session-id", session.encode())]
        elif session not in self.open or self.open[session] != scope.get("user"):
            status = 404
        elif scope["method"] == "DELETE":
            del self.open[session]
            self.ended.append(session)
        await send({"type": "http.response.start", "status": status, "headers": more})
        if headers.get(b"x-hold"):
            await self.hold.setdefault(headers[b"x-hold"].decode(), asyncio.Event()).wait()
        await send({"type": "http.response.body", "body": b""})


class Bench:
    def __init__(self, limit: int, patience: float = LONG) -> None:
        self.manager = Manager(limit)
        self.sessions = HttpSessions(self.manager, limit, patience)

    async def ask(
        self, method: str = "POST", session: str = "", user: str = "u", **headers: str
    ) -> tuple[int, str]:
        """The status of a request, and the session that it opened."""
        said: list[Any] = []

        async def nothing() -> Any:
            raise AssertionError("no body is read")

        async def send(message: Any) -> None:
            said.append(message)

        named = [(n.replace("_", "-").encode(), value.encode()) for n, value in headers.items()]
        if session:
            named.append((b"mcp-session-id", session.encode()))
        await self.sessions({"method": method, "headers": named, "user": user}, nothing, send)
        opened = dict(said[0]["headers"]).get(b"mcp-session-id", b"").decode()
        return said[0]["status"], opened

    def begin(self, hold: str, **more: str) -> asyncio.Task[tuple[int, str]]:
        return asyncio.ensure_future(self.ask(x_hold=hold, **more))


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await main()

    asyncio.run(bounded())


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_hundreds_of_clients_that_never_say_goodbye_are_all_served() -> None:
    async def main() -> None:
        bench = Bench(8)
        for _ in range(300):
            assert (await bench.ask())[0] == 200
        assert list(bench.manager.open) == [f"s{number}" for number in range(293, 301)]
        assert bench.sessions.evicted == 292
        assert len(bench.sessions) == 8

    run(main)


def test_the_least_recently_used_one_gives_way() -> None:
    async def main() -> None:
        bench = Bench(3)
        for _ in range(3):
            await bench.ask()
        await bench.ask(session="s1")
        await bench.ask()
        await bench.ask()
        assert bench.manager.ended == ["s2", "s3"]
        assert (await bench.ask(session="s1"))[0] == 200
        assert (await bench.ask(session="s2"))[0] == 404

    run(main)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_one_at_work_never_gives_way(method: str) -> None:
    async def main() -> None:
        bench = Bench(2)
        await bench.ask()
        await bench.ask()
        at_work = bench.begin("work", method=method, session="s1")
        await settle()
        for _ in range(5):
            assert (await bench.ask())[0] == 200
        assert "s1" in bench.manager.open
        bench.manager.hold["work"].set()
        assert (await at_work)[0] == 200

    run(main)


def test_a_client_waits_for_one_of_those_that_are_at_work() -> None:
    async def main() -> None:
        bench = Bench(1)
        await bench.ask()
        at_work = bench.begin("work", session="s1")
        await settle()
        new = asyncio.ensure_future(bench.ask())
        await settle()
        assert not new.done()
        bench.manager.hold["work"].set()
        assert await new == (200, "s2")
        assert (await at_work)[0] == 200

    run(main)


def test_when_all_are_at_work_it_is_said() -> None:
    async def main() -> None:
        bench = Bench(1, NONE)
        await bench.ask()
        at_work = bench.begin("work", session="s1")
        await settle()
        assert (await bench.ask())[0] == 503
        bench.manager.hold["work"].set()
        await at_work
        assert (await bench.ask())[0] == 200

    run(main)


def test_clients_that_come_at_once_are_all_served() -> None:
    async def main() -> None:
        bench = Bench(4)
        found = await asyncio.gather(*(bench.ask() for _ in range(50)))
        assert [status for status, _ in found] == [200] * 50
        assert len(bench.manager.open) == 4

    run(main)


def test_what_ends_by_itself_is_not_counted() -> None:
    async def main() -> None:
        bench = Bench(2)
        await bench.ask()
        await bench.ask()
        assert (await bench.ask("DELETE", session="s1"))[0] == 200
        assert len(bench.sessions) == 1
        del bench.manager.open["s2"]  # its time was over
        assert (await bench.ask(session="s2"))[0] == 404
        assert len(bench.sessions) == 0
        assert (await bench.ask(session="never-was"))[0] == 404
        assert bench.sessions.evicted == 0

    run(main)


def test_clients_of_later_protocols_take_no_place() -> None:
    async def main() -> None:
        bench = Bench(1, NONE)
        await bench.ask()
        modern = [bench.begin("work", mcp_protocol_version="2026-07-28") for _ in range(5)]
        await settle()
        assert list(bench.manager.open) == ["s1"]
        assert (await bench.ask())[0] == 200
        bench.manager.hold["work"].set()
        await asyncio.gather(*modern)

    run(main)


def test_a_session_of_another_token_gives_way_as_well() -> None:
    async def main() -> None:
        bench = Bench(1, NONE)
        await bench.ask(user="acme")
        assert await bench.ask(user="own") == (200, "s2")
        assert bench.manager.ended == ["s1"]

    run(main)


# --- tokens of one namespace ----------------------------------------------------------------------


@given(st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()))
def test_a_token_names_its_namespace_and_no_other(namespace: str) -> None:
    token = tokens.confined("own", namespace)
    assert token.isascii()
    assert " " not in token
    assert tokens.namespace_of("own", token.encode()) == namespace
    assert tokens.namespace_of("another", token.encode()) is None
    name, code = token.split(".")
    other = tokens.confined("own", namespace + "x")
    assert tokens.namespace_of("own", f"{other.split('.')[0]}.{code}".encode()) is None
    assert tokens.namespace_of("own", f"{name}.".encode()) is None


@given(st.binary(max_size=60))
def test_what_is_no_token_is_none(data: bytes) -> None:
    assert tokens.namespace_of("own", data) is None
