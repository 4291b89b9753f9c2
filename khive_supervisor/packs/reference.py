"""The verbs as Markdown: the generated part of docs/verbs.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.loading import BUILTIN
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.registry import Pack, Verb

_HEAD = ("| argument | type | bounds | meaning |", "|---|---|---|---|")
#: What bounds a value in JSON Schema: from, to, and of what.
_RANGES = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
)
#: Patterns in words; another one is shown as it is.
_PATTERNS = {
    forms.KIND_PATTERN: "lower-case letters, digits, `-` and `_`; at most 40",
    forms.NAMESPACE["pattern"]: "no spaces",
}


def reference() -> str:
    """Return every verb of the built-in packs with its arguments, in the order of the registry."""
    parts = ["## Whom each verb is for", _audiences(), *(_pack(pack) for pack in BUILTIN)]
    return "\n\n".join(parts) + "\n"


def _pack(pack: Pack) -> str:
    return "\n\n".join([f"## {pack.name}", pack.summary, *(_verb(verb) for verb in pack.verbs)])


def _verb(verb: Verb) -> str:
    parts = [f"### {verb.name}", f"{verb.summary} {verb.description}".strip(), _nature(verb)]
    if verb.properties:
        rows = _rows(verb.properties, verb.required)
        parts.append("\n".join([*_HEAD, *rows]))
    else:
        parts.append("No arguments.")
    return "\n\n".join(parts)


def _nature(verb: Verb) -> str:
    """Return how it is reached and what it does to the store, in one line."""
    if verb.read_only:
        does = "reads only"
    else:
        does = "takes entries out of the search" if verb.destructive else "writes"
        does += "; safe to repeat" if verb.idempotent else ""
    return f"*{_reached(verb)}; {does}; {_audience(verb)}.*"


def _reached(verb: Verb) -> str:
    if verb.audience is Audience.OPERATOR:
        return "Command line and operators' sessions"
    if not verb.tool:
        return "MCP: through `khive_call`"
    where = {None: "", True: ", where roles are configured", False: ", where no roles are"}
    return f"MCP tool `{verb.tool_name}`{where[verb.with_roles]}"


def _audience(verb: Verb) -> str:
    """Whom it is for, in words; "Audiences" in docs/verbs.md explains them."""
    words = "for operators" if verb.audience is Audience.OPERATOR else "for agents"
    if verb.reserved is not None:
        words += ", where it is about their own"
    return words + (", not for confined sessions" if verb.shared else "")


def _audiences() -> str:
    """Return every verb of the built-in packs with its audience, as one table."""
    rows = ["| verb | audience | confined sessions |", "|---|---|---|"]
    for verb in (verb for pack in BUILTIN for verb in pack.verbs):
        whom = "operators" if verb.audience is Audience.OPERATOR else "agents"
        whom += "; others' is an operator's" if verb.reserved is not None else ""
        rows.append(f"| `{verb.name}` | {whom} | {'no' if verb.shared else 'yes'} |")
    return "\n".join(rows)


def _rows(
    properties: Mapping[str, Any], required: tuple[str, ...], prefix: str = ""
) -> Iterator[str]:
    """Return a row for each argument; the members of objects in a list follow it."""
    for name, schema in properties.items():
        needed = " (required)" if name in required else ""
        cells = (
            f"`{prefix}{name}`{needed}",
            _type(schema),
            _bounds(schema) or "-",
            schema.get("description", ""),
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        items = schema.get("items", {})
        yield from _rows(
            items.get("properties", {}), tuple(items.get("required", ())), f"{prefix}{name}[]."
        )


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{choice}`" for choice in schema["enum"])
    kind = str(schema.get("type", "any JSON"))
    return f"list of {schema['items']['type']}s" if kind == "array" else kind


def _bounds(schema: Mapping[str, Any]) -> str:
    found = [_range(schema, *names) for names in _RANGES]
    if "pattern" in schema:
        found.append(_PATTERNS.get(schema["pattern"], f"`{schema['pattern']}`"))
    if inner := _bounds(schema["items"]) if "items" in schema else "":
        found.append(f"each {inner}")
    return "; ".join(part for part in found if part)


def _range(schema: Mapping[str, Any], low: str, high: str, unit: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is None:
        return "" if most is None else f"at most {most}{unit}"
    return f"at least {least}{unit}" if most is None else f"{least} to {most}{unit}"
