"""Parts of JSON Schema, as verbs declare what they take and answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from khive_supervisor.text.plain_json import JsonObject


def _of(kind: str, description: str, **facts: object) -> JsonObject:
    said = {"description": description} if description else {}
    return {"type": kind, **{k: v for k, v in facts.items() if v is not None}, **said}


def text(
    description: str = "",
    *,
    shortest: int | None = None,
    longest: int | None = None,
    pattern: str | None = None,
    choices: Iterable[str] | None = None,
) -> JsonObject:
    """Return the schema of a text; lengths are in characters."""
    enum = None if choices is None else [*choices]
    facts = {"minLength": shortest, "maxLength": longest, "pattern": pattern, "enum": enum}
    return _of("string", description, **facts)


def whole(
    description: str = "", *, least: int | None = None, most: int | None = None
) -> JsonObject:
    """Return the schema of a whole number."""
    return _of("integer", description, minimum=least, maximum=most)


def number(
    description: str = "", *, least: float | None = None, most: float | None = None
) -> JsonObject:
    """Return the schema of a number."""
    return _of("number", description, minimum=least, maximum=most)


def flag(description: str = "") -> JsonObject:
    """Return the schema of true or false."""
    return _of("boolean", description)


def array(
    items: JsonObject,
    description: str = "",
    *,
    fewest: int | None = None,
    most: int | None = None,
) -> JsonObject:
    """Return the schema of a list."""
    return _of("array", description, items=items, minItems=fewest, maxItems=most)


def record(
    properties: Mapping[str, JsonObject] | None = None,
    required: Iterable[str] | None = None,
    description: str = "",
) -> JsonObject:
    """Return the schema of an object; it may have more than these properties."""
    needed = None if required is None else [*required]
    return _of("object", description, properties=properties, required=needed)
