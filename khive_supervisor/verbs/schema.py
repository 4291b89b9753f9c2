"""Parts of JSON Schema, as verbs declare what they take and answer, and most calls at a glance."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

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


# --- what is right at a glance --------------------------------------------------------------------

#: Says of a value whether it is right.
Takes = Callable[[object], bool]
#: All that the schema of a plain text says.
_TEXT = frozenset({"type", "description", "minLength", "maxLength", "enum"})
#: The schema of any object, and all that the schema of a list of them says.
_ANY_OBJECT, _OBJECTS = {"type": "object"}, frozenset({"type", "description", "items", "maxItems"})


def plain(properties: Mapping[str, object]) -> dict[str, Takes]:
    """Return what those properties take that can be judged at a glance."""
    rules = {name: rule for name, rule in properties.items() if isinstance(rule, Mapping)}
    found = {name: _takes(rule) for name, rule in rules.items()}
    return {name: takes for name, takes in found.items() if takes is not None}


def surely_valid(required: Collection[str], taken: Mapping[str, Takes], arguments: object) -> bool:
    """Return True if arguments are right at a glance. Most are; others are looked at.

    A look by the schema costs as much as some verbs, when many sessions share a processor's cache.
    """
    if type(arguments) is not dict or not all(map(arguments.__contains__, required)):
        return False
    return all(name in taken and taken[name](value) for name, value in arguments.items())


@dataclass(frozen=True, slots=True)
class _Text:
    """What a plain text of a schema may be."""

    shortest: int
    longest: int | None
    words: frozenset[str] | None

    def takes(self, value: object) -> bool:
        if type(value) is not str or len(value) < self.shortest:
            return False
        return (self.longest is None or len(value) <= self.longest) and (
            self.words is None or value in self.words
        )


def _takes(rule: Mapping[str, Any]) -> Takes | None:
    """Return what says whether a value is right; None if that takes more than a glance."""
    if rule.get("type") == "string" and rule.keys() <= _TEXT:
        words = frozenset(filter(_is_text, rule["enum"])) if "enum" in rule else None
        return _Text(rule.get("minLength", 0), rule.get("maxLength"), words).takes
    if rule.get("type") == "boolean":
        return _is_flag
    if rule.get("items") == _ANY_OBJECT and rule.keys() <= _OBJECTS:
        return partial(_are_objects, rule.get("maxItems"))
    return None


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _are_objects(most: int | None, value: object) -> bool:
    """Return True for a list of objects: an import's are a thousand, looked at one by one later."""
    if type(value) is not list or (most is not None and len(value) > most):
        return False
    return all(type(one) is dict for one in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
