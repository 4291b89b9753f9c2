"""What HTTP asks: the supervisor, verbs as an operator or as who is confined, and MCP's lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from khive_workers.http import service as http_service
from khive_workers.http.gate import NAMESPACE
from khive_workers.http.mcp import HttpMcpServer, grant_of, who_asks
from khive_workers.http.service import REMEMBERED, WAITING_LIMIT, Service, confined_client

from khive_supervisor.access.grant import AGENT, OPERATOR, Audience
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, NotRunning, StoreUnavailable
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Pack, Registry, Verb


def who(context: Context, _args: Any) -> dict[str, Any]:
    """Say who is served."""
    return {
        "session": context.session.id, "actor": context.session.actor,
        "audience": context.grant.audience.value, "namespace": context.default_namespace,
        "owners": list(context.owners), "served": id(context.served),
    }  # fmt: skip


REGISTRY = Registry(
    [
        Pack(
            "test",
            "For tests.",
            (
                Verb("test.who", "Who?", who, audience=Audience.AGENT),
                Verb("test.waits", "Waits.", who, audience=Audience.AGENT, waits=True),
                Verb("test.stop", "Stops.", who, audience=Audience.OPERATOR, because="of all"),
            ),
        )
    ]
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    config = from_dict(
        {"store": {"path": str(tmp_path / "khive.db")}, "embedder": {"kind": "none"}}
    )
    open_store(config).close()  # the supervisor has made it
    link: Any = SimpleNamespace(hint=lambda _hint: None)
    made = Service(config, REGISTRY, link, str(tmp_path / "socket"))
    yield made
    for lane in (made.routes, *made.lanes):
        lane.context.close()


class Supervisor:
    """Answers what it is asked; kept is what that was."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, _path: str) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def request(self, operation: str, args: Any) -> Any:
        self.asked.append((operation, args))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Supervisor]:
    """Sets what the supervisor answers."""

    def answers(answer: Any) -> Supervisor:
        made = Supervisor(answer)
        monkeypatch.setattr(http_service, "ControlClient", made)
        return made

    return answers


# --- the supervisor -------------------------------------------------------------------------------


def test_the_supervisor_is_asked_and_its_errors_are_its_own(
    service: Service, supervisor: Callable[[Any], Supervisor]
) -> None:
    made = supervisor({"pid": 5})
    assert asyncio.run(service.ask("status", {"all": True})) == {"pid": 5}
    assert made.asked == [("status", {"all": True})]
    supervisor(NotRunning("Nobody."))
    with pytest.raises(NotRunning, match="Nobody"):
        asyncio.run(service.ask("status"))


def test_only_so_many_requests_wait_for_it(
    service: Service, supervisor: Callable[[Any], Supervisor]
) -> None:
    supervisor({})

    async def many(count: int) -> list[Any]:
        asked = (service.ask("reload") for _ in range(count))
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(many(WAITING_LIMIT + 2))
    assert found[:WAITING_LIMIT] == [{}] * WAITING_LIMIT
    assert [type(one) for one in found[WAITING_LIMIT:]] == [StoreUnavailable] * 2
    assert asyncio.run(many(WAITING_LIMIT)) == [{}] * WAITING_LIMIT  # and then there is room again


def test_it_is_ready_when_supervisor_and_store_answer(
    service: Service, supervisor: Callable[[Any], Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor({})
    assert asyncio.run(service.ready()) == []
    supervisor(NotRunning("Nobody."))
    assert asyncio.run(service.ready()) == ["supervisor: Nobody."]
    supervisor(OSError("no way"))

    def closed() -> int:
        raise StoreUnavailable("It is full.")

    monkeypatch.setattr(service.routes.context.store.entries, "highest_id", closed)
    assert asyncio.run(service.ready()) == ["supervisor: no way", "store: It is full."]


# --- verbs for routes -----------------------------------------------------------------------------


def test_a_route_is_an_operator_s_unless_its_token_is_one_namespace_s(service: Service) -> None:
    found = asyncio.run(service.verb("test.stop", {}))
    assert (found["audience"], found["actor"]) == ("operator", "http")
    with pytest.raises(Denied):
        asyncio.run(service.verb("test.stop", {}, "shop"))
    confined = asyncio.run(service.verb("test.who", {}, "shop"))
    assert (confined["audience"], confined["namespace"]) == ("agent", "shop")
    assert confined["owners"] == ["http-shop"]
    # The next one is an operator's again.
    assert asyncio.run(service.verb("test.who", {}))["audience"] == "operator"


def test_work_goes_where_there_is_least_of_it(service: Service) -> None:
    first, second = service.lanes
    first.waiting = 2
    assert service.lane() is second
    second.waiting = 3
    assert service.lane() is first


def test_a_lane_counts_what_waits_also_when_it_fails(service: Service) -> None:
    def fails(_context: Context) -> None:
        raise ZeroDivisionError

    (lane, *_) = service.lanes
    with pytest.raises(ZeroDivisionError):
        asyncio.run(lane.run(fails))
    assert lane.waiting == 0


def test_counts_are_of_all_lanes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, lane in enumerate((service.routes, *service.lanes)):
        monkeypatch.setattr(lane.context, "counts", lambda n=number: {"checks": n + 1, f"x{n}": 1})
    assert service.counts() == {"checks": 6, "x0": 1, "x1": 1, "x2": 1}


def test_what_a_session_was_served_is_remembered_as_long_as_there_is_room(
    service: Service,
) -> None:
    assert service.served("") is not service.served("")
    first = service.served("first")
    for number in range(REMEMBERED - 1):
        service.served(str(number))
    assert service.served("first") is first  # it is used: the next one that goes is another
    again = service.served("0")
    service.served("one more")
    assert service.served("first") is first
    assert service.served("0") is again
    assert len({id(service.served(name)) for name in ("1", "1")}) == 1


# --- MCP over HTTP --------------------------------------------------------------------------------


def request(headers: Mapping[str, str] | None = None, namespace: str | None = None) -> Any:
    """The context of a request with headers, let in with a token."""
    made = SimpleNamespace(headers=dict(headers or {}), scope={"state": {NAMESPACE: namespace}})
    return SimpleNamespace(request=made, session=SimpleNamespace())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ("", None, "")),
        ({"mcp-session-id": "abc"}, ("abc", None, "")),
        ({"mcp-session-id": "x" * 40}, ("x" * 32, None, "")),
        ({"khive-namespace": "shop", "khive-actor": "ada"}, ("", "shop", "ada")),
        ({"khive-namespace": "", "khive-actor": ""}, ("", None, "")),
    ],
)
def test_a_client_says_in_headers_who_it_is(
    headers: dict[str, str], expected: tuple[str, str | None, str]
) -> None:
    found = who_asks(request(headers))
    assert (found.id, found.namespace, found.actor) == expected


def test_whoever_speaks_mcp_is_an_agent_whatever_token_it_has() -> None:
    assert grant_of(request({"mcp-session-id": "abc"})) == AGENT
    assert grant_of(request()).owners == ("http",)  # those without a session share their tasks
    assert grant_of(request(namespace="shop")) == confined_client("shop")
    assert grant_of(SimpleNamespace(request=None)) == AGENT
    assert not any(grant_of(request(namespace=name)).operator for name in (None, "shop"))
    assert OPERATOR.operator


def run(server: HttpMcpServer, verb: str, ctx: Any) -> dict[str, Any]:
    return dict(asyncio.run(server._run(verb, {}, ctx)))


def test_each_call_is_served_as_who_asks(service: Service) -> None:
    calls: list[None] = []
    server = HttpMcpServer(service, lambda: calls.append(None))
    one = run(server, "test.who", request({"mcp-session-id": "one", "khive-actor": "ada"}))
    assert (one["session"], one["actor"], one["owners"]) == ("one", "ada", ["one"])
    two = run(server, "test.who", request({"mcp-session-id": "two"}))
    assert two["session"] == "two"
    assert two["served"] != one["served"]
    again = run(server, "test.who", request({"mcp-session-id": "one"}))
    assert again["served"] == one["served"]
    shop = run(server, "test.who", request(namespace="shop"))
    assert (shop["namespace"], shop["owners"]) == ("shop", ["http-shop"])
    assert len(calls) == server.runtime.calls == 4


def test_a_call_that_waits_is_counted_by_who_makes_it(service: Service) -> None:
    server = HttpMcpServer(service, lambda: None)
    server.runtime.waiting["one"] = 8
    with pytest.raises(Exception, match="of this session wait already"):
        run(server, "test.waits", request({"mcp-session-id": "one"}))
    assert run(server, "test.waits", request({"mcp-session-id": "two"}))["session"] == "two"
    assert server.runtime.waiting == {"one": 8}
