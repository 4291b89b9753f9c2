"""The HTTP worker's application: the gate, the routes, MCP, the page and metrics put together."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Router
from starlette.routing import Route as Pattern
from starlette.types import ASGIApp, Receive, Scope, Send

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.packs.curation import listing
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Registry
from khive_workers.desk.paths import is_page, label
from khive_workers.http import openapi, routes
from khive_workers.http.connection import Connections
from khive_workers.http.gate import NAMESPACE, error_response
from khive_workers.http.routes import Handler, Route, RouteCall
from khive_workers.http.service import Service
from khive_workers.http.sessions import HttpSessions
from khive_workers.mcp import http_text
from khive_workers.metrics import declared as metrics

log = logs.get("khive.http")


def declared(registry: Registry, tell: Handler, describe: Handler) -> tuple[Route, ...]:
    """Return all routes there are; `tell` answers with metrics, `describe` with OpenAPI."""
    return (
        *routes.declared(registry),
        Route("GET", "/metrics", "metrics", "Show metrics for Prometheus.", tell,
              answers={"type": "string"}, media_type="text/plain"),
        Route("GET", "/openapi.json", "openapi", "Describe these routes.", describe),
    )  # fmt: skip


class Application:
    """ASGI: one request, one route; what fails unexpectedly is an answer, too."""

    def __init__(self, service: Service, sessions: HttpSessions, page: ASGIApp) -> None:
        self._service = service
        self._sessions = sessions
        self._page = page
        #: How many requests there were, by route and status.
        self.requests: Counter[tuple[str, str]] = Counter()
        #: Set once the gate and the connections exist; only metrics read it.
        self.numbers: Callable[[], Answer] = dict
        self.routes = declared(service.registry, self._metrics, self._openapi)
        self._by_path: dict[str, dict[str, Route]] = {}
        for route in self.routes:
            self._by_path.setdefault(route.path, {})[route.method] = route
        self._patterns = Router([Pattern(path, _unused) for path in self._by_path])
        self._description = openapi.describe(self.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] == "/mcp":
            noting = self._noting("/mcp", http_text.sayable(send))
            user = _user(scope.get("state", {}).get(NAMESPACE))
            await self._sessions({**scope, "user": user}, http_text.readable(receive), noting)
            return
        if is_page(scope["path"]):
            noting = self._noting(label(scope["path"]), http_text.sayable(send))
            await self._page(scope, receive, noting)
            return
        path, found = self._match(scope)
        response = await self._answer(found, Request(scope, receive))
        await response(scope, receive, self._noting(path, http_text.sayable(send)))

    def _match(self, scope: Scope) -> tuple[str, dict[str, Route]]:
        for pattern in self._patterns.routes:
            match, more = pattern.matches({**scope, "method": "GET"})
            if match is Match.FULL and isinstance(pattern, Pattern):
                scope.update(more)
                return pattern.path, self._by_path[pattern.path]
        return "none", {}

    async def _answer(self, found: dict[str, Route], request: Request) -> Response:
        if not found:
            return routes.not_found()
        route = found.get(request.method)
        if route is None:
            allowed = ", ".join(sorted(found))
            text = f"{request.method[:20]} is not for this path."
            return error_response(405, "wrong_method", text, headers={"Allow": allowed})
        try:
            return await routes.answer(route, self._service, request)
        except Exception as error:  # noqa: BLE001 - a bug must reach the client as an answer
            log.error("http.crashed", route=route.name, error=repr(error))
            unexpected = KhiveError(f"It failed unexpectedly: {type(error).__name__}.")
            return JSONResponse({"error": unexpected.as_dict()}, 500)

    def _noting(self, path: str, send: Send) -> Send:
        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.requests[path, str(message["status"])] += 1
            await send(message)

        return noting

    async def _openapi(self, _asked: RouteCall) -> Answer:
        return self._description

    async def _metrics(self, asked: RouteCall) -> Response:
        service = asked.service
        status = await service.ask("status")
        counters = await service.ask("counters")
        tasks = await service.routes.run(_tasks)
        facts = metrics.Facts(
            status, counters, tasks,
            {"requests": self.requests, **self.numbers()},
            *await service.routes.run(_sizes),
        )  # fmt: skip
        text = metrics.render(facts)
        return Response(text, headers={"Content-Type": metrics.MEDIA_TYPE})


def _tasks(context: Context) -> metrics.TaskNumbers:
    """Return how roles did, what waits for them, and how their budgets stand."""
    store = context.store
    records: dict[tuple[str, str], tuple[int, int]] = {}
    for one in store.roles.records():
        succeeded, executions = records.get((one.role, one.task_type), (0, 0))
        records[one.role, one.task_type] = succeeded + one.successes, executions + one.executions
    depths, oldest = store.tasks.queue_depths(), store.tasks.oldest_waiting()
    names = {*depths, *(role.role for role in store.roles.all())}
    now = time.time()
    queues = {}
    for name in names:
        depth = depths.get(name)
        waits = max(0.0, now - oldest[name]) if name in oldest else 0.0
        queues[name] = (depth.queued, depth.leased, waits) if depth else (0, 0, waits)
    messages = store.deliveries.counts()
    waiting = store.workflows.waiting()
    return metrics.TaskNumbers(records, store.budgets.accounts(), queues, messages, waiting)


def _sizes(context: Context) -> tuple[dict[str, int], dict[str, int]]:
    """Return the bytes of the files, and the live entries of all namespaces by kind."""
    stats: JsonObject = dict(listing.stats(context, {}))
    files = stats.get("bytes", {})
    sizes = {"store": files.get("store", 0), "wal": files.get("log", 0)}
    sizes["index"] = files.get("index", 0)
    with contextlib.suppress(OSError):
        sizes["log"] = os.path.getsize(context.config.log.file)
    return sizes, stats["by_kind"]


def _user(namespace: str | None) -> AuthenticatedUser:
    """Return who asks, for the SDK: it keeps each session to the token that opened it."""
    return AuthenticatedUser(AccessToken(token="", client_id=namespace or "", scopes=[]))


async def _unused(_request: Request) -> Response:
    """Patterns only find a path; `Application` answers."""
    raise AssertionError("never called")


def numbers_of(refused: Counter[str], connections: Connections) -> Callable[[], Answer]:
    """Return what the gate and the connections have counted, for metrics."""
    return lambda: {
        "refused": refused,
        "connections": len(connections.open),
        "evicted": connections.evicted,
        "late": connections.late,
    }
