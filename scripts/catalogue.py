"""The catalogue of the source as it is: khive_supervisor/catalogue/catalogue.json is written so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khive_workers.http import app, openapi, routes
from khive_workers.mcp.prompts import PROMPTS
from khive_workers.mcp.resources import SOURCES
from khive_workers.mcp.tools import ToolList
from khive_workers.metrics import declared as metrics

from khive_supervisor import __version__
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.catalogue import parts
from khive_supervisor.catalogue.document import FORM, PARTS
from khive_supervisor.cli.listing import listed
from khive_supervisor.cli.main import cli
from khive_supervisor.packs.loading import BUILTIN
from khive_supervisor.verbs.registry import Registry


def document() -> dict[str, Any]:
    """Return the whole document: each part from its declarations."""
    registry = Registry(BUILTIN)
    found = {
        "verbs": parts.verbs(registry),
        "tools": _tools(registry),
        "resources": {
            one.uri: {"summary": one.description, "verb": one.verb, "type": one.mime_type}
            for one in SOURCES
        },
        "prompts": {
            one.name: {"summary": one.description, "arguments": _arguments(one.arguments)}
            for one in PROMPTS
        },
        "commands": listed(cli),
        "routes": _routes(registry),
        "settings": parts.settings(),
        "exit_codes": parts.exit_codes(),
        "errors": parts.error_codes(),
        "metrics": {
            one.name: {"help": one.help, "kind": _kind(one.kind), "labels": list(one.labels)}
            for one in metrics.METRICS
        },
        "actions": parts.actions(),
        "links": parts.links(),
    }
    assert found.keys() == PARTS.keys()
    return {"version": __version__, "form": FORM} | found


def _kind(family: type[object]) -> str:
    return family.__name__.removesuffix("MetricFamily").lower()


def _arguments(arguments: Mapping[str, tuple[str, bool]]) -> dict[str, Any]:
    return {name: {"meaning": said, "required": must} for name, (said, must) in arguments.items()}


def _tools(registry: Registry) -> dict[str, Any]:
    """Return the tools of sessions with roles and of those without."""
    tools = ToolList(registry)
    found = {}
    for tools.roles in (False, True):
        found |= {one.name: {"summary": one.title or ""} for one in tools.of(OPERATOR)}
    return found


def _routes(registry: Registry) -> dict[str, Any]:
    """Return the operations of OpenAPI by method and path."""
    described = openapi.describe(app.declared(registry, routes.healthz, routes.healthz))
    return {
        f"{method.upper()} {path}": operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
