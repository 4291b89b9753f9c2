"""The description of the routes in OpenAPI 3.1, made from their declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from khive_supervisor import __version__
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.http.routes import Route

_ERROR: JsonObject = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "hint": {"type": "string"},
                "retryable": {"type": "boolean"},
            },
            "required": ["code", "message", "hint", "retryable"],
        }
    },
    "required": ["error"],
}
_REFUSALS = {
    400: "The request is not what the route takes.",
    401: "No token, or a wrong one.",
    403: "A web page asks that may not, or the configuration does not allow it.",
    404: "There is no such thing.",
    413: "The body is too large (http.max_body).",
    421: "The Host is not a name of this server.",
    429: "Too many wrong tokens; Retry-After says when to try again.",
    500: "It failed unexpectedly.",
    503: "The supervisor or the store does not answer; or they are not ready.",
}


def describe(routes: Iterable[Route]) -> JsonObject:
    """Return the whole document."""
    paths: dict[str, JsonObject] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "khive-supervisor",
            "version": __version__,
            "description": "The operator's routes. MCP is at /mcp, and described by itself.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route) -> JsonObject:
    found: JsonObject = {"operationId": route.name, "summary": route.summary}
    found["responses"] = _responses(route)
    parameters = [_parameter(n, s, "path", required=True) for n, s in route.parameters.items()]
    schema = route.input_schema
    if route.method == "GET":
        required = schema.get("required", ())
        parameters += [
            _parameter(name, one, "query", required=name in required)
            for name, one in schema.get("properties", {}).items()
        ]
    else:
        content = {"application/json": {"schema": schema}}
        found["requestBody"] = {"required": bool(schema.get("required")), "content": content}
    if parameters:
        found["parameters"] = parameters
    if route.open:
        found["security"] = []
    return found


def _parameter(name: str, schema: Mapping[str, Any], where: str, *, required: bool) -> JsonObject:
    return {"name": name, "in": where, "required": required, "schema": dict(schema)}


#: Statuses of routes that answer with what they have found or done, whatever that is.
_RECORDS = {"readyz": (503,), "reload": (409, 422)}


def _responses(route: Route) -> JsonObject:
    answer = {route.media_type: {"schema": dict(route.answers)}}
    found: JsonObject = {"200": {"description": route.summary, "content": answer}}
    for status, words in {**_REFUSALS, **route.also}.items():
        schema: JsonObject = {"$ref": "#/components/schemas/Error"}
        if status in _RECORDS.get(route.name, ()):
            schema = {"type": "object"}
        found[str(status)] = {
            "description": words,
            "content": {"application/json": {"schema": schema}},
        }
    return found
