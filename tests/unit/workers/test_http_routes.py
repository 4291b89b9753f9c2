"""The declared routes: described, documented, and what they make of what they are sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from khive_workers.http import openapi
from khive_workers.http import routes as http_routes
from khive_workers.http.app import Application
from khive_workers.http.routes import STATUSES, Route
from khive_workers.metrics import declared as metrics
from starlette.requests import Request
from support import ROOT, run

from khive_supervisor import errors
from khive_supervisor.config.settings.model import Config
from khive_supervisor.packs import loading
from khive_supervisor.verbs.coercion import coerce

REGISTRY = loading.load()


class FakeService:
    """Remembers what was asked."""

    def __init__(self, result: object = None) -> None:
        self.config = Config()
        self.registry = REGISTRY
        self.asked: list[tuple[str, Any]] = []
        self._result = {} if result is None else result

    async def ask(self, operation: str, args: Any = None) -> Any:
        self.asked.append((operation, args))
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    async def verb(self, name: str, args: Any, namespace: str | None = None) -> Any:
        assert namespace is None
        return await self.ask(name, args)

    async def ready(self) -> list[str]:
        return ["store: away"] if self._result else []


def application(service: FakeService) -> Application:
    return Application(service, None, None)  # type: ignore[arg-type]  # a fake; no MCP, no page


def asked(service: FakeService, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request through the application."""
    sent: list[Any] = []
    where, _, query = path.partition("?")
    parts = [body[at : at + 1 << 16] for at in range(0, len(body), 1 << 16)] or [b""]

    async def receive() -> Any:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": where, "raw_path": where.encode(),
        "query_string": query.encode(), "headers": [], "root_path": "", "state": {},
    }  # fmt: skip
    run(application(service)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def routes() -> tuple[Route, ...]:
    return application(FakeService()).routes


def test_the_description_has_exactly_the_routes() -> None:
    document = openapi.describe(routes())
    found = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    assert found == {(route.method, route.path) for route in routes()}
    assert len({route.name for route in routes()}) == len(routes())
    for item in document["paths"].values():
        for operation in item.values():
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    Draft202012Validator.check_schema(content["schema"])


def test_only_health_is_open() -> None:
    document = openapi.describe(routes())
    open_ones = [p for p, item in document["paths"].items() for o in item.values()
                 if o.get("security") == []]  # fmt: skip
    assert open_ones == ["/healthz"]
    assert document["security"] == [{"token": []}]


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    for route in routes():
        assert f"| `{route.method} {route.path}` |" in text
    assert "`/mcp`" in text


def test_every_metric_is_documented_with_its_kind_and_labels() -> None:
    text = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    for metric in metrics.METRICS:
        kind = metric.kind.__name__.removesuffix("MetricFamily").lower()
        name = metric.name + ("_total" if kind == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        assert f"| `{name}` | {kind} | {labels} | {metric.help}" in text


def test_every_error_has_a_status_that_is_described() -> None:
    codes = {kind.code for kind in vars(errors).values()
             if isinstance(kind, type) and issubclass(kind, errors.KhiveError)}  # fmt: skip
    assert set(STATUSES) <= codes
    described = openapi.describe(routes())["paths"]["/roles/{role}/drain"]["post"]
    assert {str(status) for status in STATUSES.values()} <= set(described["responses"])


@pytest.mark.parametrize(
    ("method", "path", "body", "operation", "args"),
    [
        ("GET", "/status", b"", "status", None),
        ("POST", "/reload", b"", "reload", {}),
        ("POST", "/reload", b'{"dry_run": true}', "reload", {"dry_run": True}),
        ("POST", "/roles/a/drain", b'{"reload": true}', "roles.drain",
         {"role": "a", "reload": True}),
        ("POST", "/roles/a%20b/resume", b"{}", "roles.resume", {"role": "a%20b"}),
        ("GET", "/tasks?limit=3&state=done", b"", "agents.tasks", {"limit": 3, "state": "done"}),
        ("POST", "/tasks", b'{"role": "a"}', "agents.assign", {"role": "a"}),
        ("GET", "/tasks/t1", b"", "agents.task", {"task": "t1"}),
        ("POST", "/tasks/t1/cancel", b" ", "agents.cancel", {"task": "t1"}),
        ("POST", "/tasks/t1/retry", b"{}", "agents.retry", {"task": "t1"}),
    ],
)  # fmt: skip
def test_a_route_asks_for_what_it_says(
    method: str, path: str, body: bytes, operation: str, args: Any
) -> None:
    service = FakeService({"roles": {}})
    assert asked(service, method, path, body)[0] == 200
    assert service.asked == [(operation, args)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/reload", b"{", 400),
        ("POST", "/reload", b"[]", 400),
        ("POST", "/reload", b"\xff", 400),
        ("POST", "/reload", b"[" * 100_000, 400),
        ("POST", "/reload", b'{"dry_run": 2}', 400),
        ("POST", "/reload", b'{"other": 1}', 400),
        ("POST", "/roles/a/resume", b'{"reload": true}', 400),
        ("POST", "/tasks/t1/retry", b'{"task": "t2"}', 400),
        ("POST", "/tasks", b"x" * (5 << 20), 413),
        ("GET", "/tasks?limit=0", b"", 400),
        ("GET", "/tasks?limit=many", b"", 400),
        ("GET", "/tasks?limit=1&limit=2", b"", 400),
        ("GET", "/tasks?other=1", b"", 400),
        ("GET", "/tasks/t1?x=1", b"", 400),
        ("GET", "/reload", b"", 405),
        ("DELETE", "/tasks/t1", b"", 405),
        ("GET", "/nothing", b"", 404),
        ("GET", "/tasks/", b"", 404),
        ("GET", "/tasks/t1/t2", b"", 404),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_asked(
    method: str, path: str, body: bytes, status: int
) -> None:
    service = FakeService()
    found, answer = asked(service, method, path, body)
    assert found == status
    assert b'"error"' in answer
    assert service.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("no"), 404),
        (errors.InvalidInput("no"), 400),
        (errors.StagingFailed("no"), 409),
        (errors.NotRunning("no"), 503),
        (errors.KhiveError("no"), 500),
        (ZeroDivisionError("with a secret"), 500),
    ],
)
def test_errors_are_answers(error: Exception, status: int) -> None:
    found, answer = asked(FakeService(error), "GET", "/status")
    assert found == status
    assert b"secret" not in answer


def test_not_ready_is_said_with_503() -> None:
    assert asked(FakeService(), "GET", "/readyz")[0] == 200
    assert asked(FakeService({"x": 1}), "GET", "/readyz")[0] == 503


@pytest.mark.parametrize("text", ["²", "1e3", "--1", "1" * 30, "-", "true", "3.5", "NaN"])
def test_a_number_that_is_none_is_left_for_the_schema(text: str) -> None:
    status, answer = asked(FakeService(), "GET", f"/tasks?limit={quote(text)}")[:2]
    assert status == 400, answer


@pytest.mark.parametrize("text", ["3", "3.0", " 3"])
def test_a_number_is_a_number_however_it_is_written(text: str) -> None:
    scope = {"type": "http", "query_string": f"limit={quote(text)}".encode()}
    route = next(route for route in routes() if route.name == "tasks")
    assert coerce(route.input_schema, http_routes._query(Request(scope))) == {"limit": 3}


@pytest.mark.parametrize(
    ("result", "body", "status"),
    [
        ({"state": "done", "errors": []}, b"{}", 200),
        ({"state": "failed", "errors": ["x"]}, b"{}", 422),
        ({"state": "rolled_back", "errors": ["x"]}, b"{}", 409),
        ({"state": "done", "errors": ["a role failed"]}, b"{}", 409),
        ({"valid": True, "errors": []}, b'{"dry_run": true}', 200),
        ({"valid": False, "errors": ["x"]}, b'{"dry_run": true}', 422),
        ({"state": "done", "errors": []}, b'{"dry_run": "false"}', 200),
    ],
)
def test_the_status_of_a_reload_says_how_it_ended(
    result: dict[str, Any], body: bytes, status: int
) -> None:
    assert asked(FakeService(result), "POST", "/reload", body)[0] == status
