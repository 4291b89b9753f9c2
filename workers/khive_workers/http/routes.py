"""The routes beside MCP, each declared once: what it takes, what it answers, who does it.

`/openapi.json` is made from the same declarations; see http_openapi.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from khive_supervisor.catalogue.document import installed
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.coercion import ArgumentValidator, coerce
from khive_supervisor.verbs.registry import Answer, Registry
from khive_workers.http.gate import NAMESPACE, error_response, too_large
from khive_workers.http.service import Service

#: The status of an error by its code; what is not here is 500.
STATUSES = {
    "invalid_input": 400,
    "config_invalid": 400,
    "denied": 403,
    "not_found": 404,
    "not_running": 503,
    "store_unavailable": 503,
    "staging_failed": 409,
    "budget_exceeded": 409,
    "protocol_error": 503,
    "version_mismatch": 503,
}

Schema = Mapping[str, Any]
_OBJECT: Schema = schema.record()
_ROLE: Schema = schema.text("The role's name.")
_TASK: Schema = schema.text("The task's id, such as t12.", pattern=r"^t[1-9][0-9]{0,17}$(?!\n)")


@dataclass(frozen=True, slots=True)
class RouteCall:
    """A request that is whole and valid."""

    service: Service
    path: Mapping[str, str]
    args: JsonObject
    #: The only namespace that exists for who asks; None: an operator asks.
    namespace: str | None = None


Handler = Callable[[RouteCall], Awaitable[Answer | Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: `query` for GET, `body` for POST, as JSON Schemas."""

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    takes: Schema = field(default_factory=dict)
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    answers: Schema = field(default_factory=lambda: _OBJECT)
    media_type: str = "application/json"
    #: What else it may answer with, and in which words.
    also: Mapping[int, str] = field(default_factory=dict)
    open: bool = False

    @property
    def input_schema(self) -> Schema:
        """Return what it takes, as a schema of an object."""
        found: Schema = self.takes or {"type": "object", "additionalProperties": False}
        return found


# --- handlers -----------------------------------------------------------------------------------


async def healthz(_asked: RouteCall) -> Answer:
    """Say that this process lives."""
    return {"ok": True}


async def readyz(asked: RouteCall) -> Response:
    """Return the supervisor and the store answer."""
    missing = await asked.service.ready()
    return JSONResponse({"ready": not missing, "missing": missing}, 503 if missing else 200)


async def status(asked: RouteCall) -> Answer:
    """Return what `khive-supervisor status --json` prints."""
    return await asked.service.ask("status")


async def reload(asked: RouteCall) -> Response:
    """Return what `khive-supervisor reload --json` prints, with a status that says how it ended."""
    result = await asked.service.ask("reload", asked.args)
    if "valid" in result:  # a dry run's
        return JSONResponse(wellformed.data(result), 200 if result["valid"] else 422)
    if result.get("state") == "failed":
        plan = await asked.service.ask("reload", {"dry_run": True}) if asked.args else {}
        return JSONResponse(wellformed.data(result), 409 if plan.get("valid") else 422)
    undone = result.get("state") == "rolled_back" or result.get("errors")
    return JSONResponse(wellformed.data(result), 409 if undone else 200)


async def roles(asked: RouteCall) -> Answer:
    """Return the roles with their workers, and what waits for no role."""
    found: JsonObject = (await asked.service.ask("roles.status"))["roles"]
    return found


async def drain(asked: RouteCall) -> Answer:
    """Take a role out of service, or replace its workers."""
    return await asked.service.ask("roles.drain", {**asked.path, **asked.args})


async def resume(asked: RouteCall) -> Answer:
    """Put a role back in service."""
    return await asked.service.ask("roles.resume", dict(asked.path))


async def catalog(asked: RouteCall) -> Answer:
    """Return what `khive-supervisor catalog --json` prints."""
    document = installed(asked.service.registry)
    part = asked.args.get("part")
    return document if part is None else {"version": document["version"], part: document[part]}


def _verb(name: str) -> Handler:
    async def handler(asked: RouteCall) -> Answer:
        return await asked.service.verb(name, {**asked.path, **asked.args}, asked.namespace)

    return handler


# --- declarations ---------------------------------------------------------------------------------

_RELOAD: Schema = {
    "type": "object",
    "properties": {
        "dry_run": schema.flag("Only say what would change."),
        "digest": schema.text("Only if this is the plan (of a dry run)."),
    },
    "additionalProperties": False,
}
_DRAIN: Schema = {
    "type": "object",
    "properties": {"reload": schema.flag("Replace its workers; it stays in service.")},
    "additionalProperties": False,
}
_RELOADED = {
    409: "A role was rolled back, or the file leads to another plan than the one asked for.",
    422: "The file is not valid: nothing was changed.",
}
_STAGING = {409: "New workers could not be made ready; the old ones serve on."}
_SPENT = {409: "The role's budget is exceeded, until the time that the answer says."}


def declared(registry: Registry) -> tuple[Route, ...]:
    """Return all routes; what those of tasks take and answer is what their verbs do."""

    def takes(verb: str, *named_by_path: str) -> Schema:
        schema = registry.get(verb).input_schema
        left = {n: s for n, s in schema["properties"].items() if n not in named_by_path}
        required = [name for name in schema["required"] if name not in named_by_path]
        return {**schema, "properties": left, "required": required}

    def answers(verb: str) -> Schema:
        return registry.get(verb).output or _OBJECT

    one, named = {"task": _TASK}, {"role": _ROLE}
    return (
        Route("GET", "/healthz", "healthz", "Say that this process lives.", healthz, open=True),
        Route("GET", "/readyz", "readyz", "Say whether supervisor and store answer.", readyz),
        Route("GET", "/status", "status", "Show the whole supervisor.", status),
        Route("GET", "/catalog", "catalog", "List all that is declared, with schemas.", catalog,
              takes("system.catalog")),
        Route("POST", "/reload", "reload", "Read the configuration again.", reload, _RELOAD,
              also=_RELOADED),
        Route("GET", "/roles", "roles", "List the roles and their workers.", roles),
        Route("POST", "/roles/{role}/drain", "drain", "Let a role finish what it holds.",
              drain, _DRAIN, named, also=_STAGING),
        Route("POST", "/roles/{role}/resume", "resume", "Put a drained role back in service.",
              resume, parameters=named, also=_STAGING),
        Route("GET", "/tasks", "tasks", "List tasks, newest first.", _verb("agents.tasks"),
              takes("agents.tasks")),
        Route("POST", "/tasks", "assign", "Give a task to a role.", _verb("agents.assign"),
              takes("agents.assign"), answers=answers("agents.assign"), also=_SPENT),
        Route("GET", "/tasks/{task}", "task", "Show a task.", _verb("agents.task"),
              takes("agents.task", "task"), one, answers("agents.task")),
        Route("POST", "/tasks/{task}/cancel", "cancel", "Cancel a task.",
              _verb("agents.cancel"), takes("agents.cancel", "task"), one),
        Route("POST", "/tasks/{task}/retry", "retry", "Queue a task again.",
              _verb("agents.retry"), takes("agents.retry", "task"), one),
    )  # fmt: skip


# --- one request --------------------------------------------------------------------------------


async def answer(route: Route, service: Service, request: Request) -> Response:
    """Read a request, run its handler, and put what comes of it into a response."""
    try:
        if route.method == "GET":
            args = _query(request)
        else:
            body = await _body(request, service.config.http.max_body)
            if body is None:
                return too_large(service.config.http.max_body).response()
            args = _parse(body)
        args = coerce(route.input_schema, args)
        _check(route, args)
        namespace = request.scope.get("state", {}).get(NAMESPACE)
        result = await route.handler(RouteCall(service, request.path_params, args, namespace))
    except KhiveError as error:
        status = STATUSES.get(error.code, 500)
        return JSONResponse({"error": error.as_dict()}, status)
    return result if isinstance(result, Response) else JSONResponse(wellformed.data(result))


async def _body(request: Request, limit: int) -> bytes | None:
    """Return the whole body; None if it is longer than allowed."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > limit:
            return None
    return bytes(found)


def _parse(body: bytes) -> JsonObject:
    try:
        found = json.loads(wellformed.json_bytes(body)) if body.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is no JSON: {str(error)[:200]}.") from None
    if not isinstance(found, dict):
        raise InvalidInput("The body is no JSON object.")
    return found


def _query(request: Request) -> JsonObject:
    """Return the query's texts by name; what they stand for, the route's schema says."""
    found: JsonObject = {}
    for name, text in request.query_params.multi_items():
        if name in found:
            raise InvalidInput(f"{name} is given more than once.")
        found[name] = text
    return found


def _check(route: Route, args: JsonObject) -> None:
    problems = []
    for error in ArgumentValidator(route.input_schema).iter_errors(args):
        where = ".".join(str(part) for part in error.absolute_path)
        problems.append(f"{where}: {error.message}"[:300] if where else error.message[:300])
    if problems:
        raise InvalidInput(f"{route.method} {route.path}: " + "; ".join(sorted(problems)) + ".")


def not_found() -> Response:
    """Return the answer to a path that is none."""
    return error_response(
        404, "not_found", "There is nothing here.", "GET /openapi.json lists all."
    )
