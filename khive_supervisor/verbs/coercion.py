"""Arguments as clients really send them, as what a verb's schema asks for.

Some clients write whole numbers as floats (`3.0`), and arrays, numbers and truth values as the JSON
text of them (or as Python's, `True`, or as 1 and 0); some send a single text or object where a list
of them is wanted, and null for what they leave out. What is meant is beyond doubt
there, and only there it is taken as meant: a text where text may stand is never read as anything
else, and what fits in no way is left as it is, for the schema to refuse.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, TypeChecker, validators

from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject

#: Integers that the store holds have 64 bits.
_LEAST, _MOST = -(2**63), 2**63 - 1
#: Characters of a text that is read as JSON at most; what a frame can hold is far more.
_TEXT_LIMIT = 8 * 1024 * 1024
#: How clients write truth values that are none in JSON, by their text in small letters.
_TRUTH = {"true": True, "false": False, "1": True, "0": False}

Schema = Mapping[str, Any]


def _integer(_checker: TypeChecker, value: object) -> bool:
    return type(value) is int and _LEAST <= value <= _MOST


def _number(_checker: TypeChecker, value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and _LEAST <= value <= _MOST


#: As JSON Schema has it, with numbers that code can work with: finite, and no larger than 64 bits.
ArgumentValidator: Any = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _integer, "number": _number}
    ),
)


def coerce(schema: Schema, value: Any) -> Any:
    """Return the value as what the schema asks for, where it is meant as such; else as it is.

    Args:
        schema: of one argument, or of all of them.
        value: what a client has sent; it is not changed.
    """
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return _chosen(choices, value)
    wanted = _types(schema)
    if isinstance(value, str) and wanted and "string" not in wanted:
        value = _meant(schema, wanted, value)
    if wanted == ("boolean",) and type(value) in (str, int):
        return _TRUTH.get(str(value).strip().lower(), value)
    if isinstance(value, dict) and wanted == ("array",) and _has_items(schema, "object"):
        value = [value]
    if isinstance(value, float) and "integer" in wanted and "number" not in wanted:
        return _whole(value)
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return [coerce(schema["items"], item) for item in value]
    if isinstance(value, dict):
        return _members(schema, value)
    return value


def _members(schema: Schema, value: JsonObject) -> JsonObject:
    """Every member as its schema asks for; null for what may be left out and is never null goes."""
    known = schema.get("properties", {})
    required = schema.get("required", ())
    return {
        name: coerce(known[name], item) if name in known else item
        for name, item in value.items()
        if item is not None or name in required or _takes_null(known.get(name))
    }


def _takes_null(schema: Schema | None) -> bool:
    """Return True also for a name that the schema does not know: it is still to be refused."""
    return schema is None or bool(ArgumentValidator(schema).is_valid(None))


def _has_items(schema: Schema, kind: str) -> bool:
    items = schema.get("items")
    return isinstance(items, Mapping) and kind in _types(items)


def _types(schema: Schema) -> tuple[str, ...]:
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _chosen(choices: list[Schema], value: Any) -> Any:
    """The value by the first alternative that takes it as it is, else by the first that can."""
    for alternative in choices:
        if ArgumentValidator(alternative).is_valid(value):
            return value
    for alternative in choices:
        meant = coerce(alternative, value)
        if ArgumentValidator(alternative).is_valid(meant):
            return meant
    return value


def _meant(schema: Schema, wanted: tuple[str, ...], text: str) -> Any:
    """What a text stands for where no text can stand; the text itself if it stands for nothing."""
    found = _parsed(text)
    if any(_is(kind, found) for kind in wanted):
        return found
    if "array" in wanted and _has_items(schema, "object") and isinstance(found, dict):
        return [found]
    if "array" in wanted and _has_items(schema, "string"):
        return [text]
    return text


def _parsed(text: str) -> Any:
    """Return a text's JSON; a text that is none stands for itself."""
    if len(text) > _TEXT_LIMIT:
        return text
    try:
        return json.loads(wellformed.json_escapes(text))
    except (ValueError, RecursionError):
        return text


def _is(kind: str, value: Any) -> bool:
    if kind == "integer" and isinstance(value, float):
        return type(_whole(value)) is int
    return bool(ArgumentValidator.TYPE_CHECKER.is_type(value, kind))


def _whole(value: float) -> float | int:
    """Return a number that is whole, as an integer; any other as it is."""
    return int(value) if math.isfinite(value) and value.is_integer() else value
