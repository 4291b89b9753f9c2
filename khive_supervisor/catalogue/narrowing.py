"""Which values a JSON Schema took and takes no more; which fields it had and has no more. Pure.

Not a decision procedure: it goes by the keywords that declarations here use, and takes what it
cannot compare (another pattern, other alternatives) for narrower.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
#: Keywords that bound from below, and from above.
_LEAST = ("minimum", "minLength", "minItems")
_MOST = ("maximum", "maxLength", "maxItems")
#: What a bound from below is where there is none; lengths begin with 0.
_UNBOUNDED = {"minimum": -math.inf}


def narrowed(old: Schema, new: Schema, where: str = "") -> Iterator[str]:
    """Return what the new schema refuses and the old one took, as sentences' ends."""
    if old == new:
        return
    head = f"{where}: " if where else ""
    yield from (f"{head}{what}" for what in _values(old, new))
    yield from _members(old, new, where)
    if isinstance(new.get("items"), Mapping) and "items" in old:
        yield from narrowed(old["items"], new["items"], f"{where}[]")


def _values(old: Schema, new: Schema) -> Iterator[str]:
    was, now = _types(old), _types(new)
    if now and (not was or not was <= now):
        yield f"is {' or '.join(sorted(now))} now, not {' or '.join(sorted(was)) or 'anything'}"
    yield from _choices(old, new)
    yield from _bounds(old, new)
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield "has to match another pattern"
    if "anyOf" in new and not _covered(old, new["anyOf"]):
        yield "is one of other alternatives"


def _covered(old: Schema, alternatives: list[Schema]) -> bool:
    """Return True if each alternative of the old schema is taken by one of the new ones."""
    each = old.get("anyOf", [old])
    return all(any(not list(narrowed(one, new)) for new in alternatives) for one in each)


def _types(schema: Schema) -> set[str]:
    """Return the types that are taken; none where any is. A whole number is a number."""
    kinds = schema.get("type", [])
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    if "enum" in schema and not found and all(isinstance(one, str) for one in schema["enum"]):
        found = {"string"}
    return found | ({"integer"} if "number" in found else set())


def _choices(old: Schema, new: Schema) -> Iterator[str]:
    if "const" in new and old.get("const") != new["const"]:
        yield f"is always {new['const']!r} now"
    if "enum" not in new:
        return
    if "enum" not in old:
        yield f"is one of {', '.join(map(str, new['enum']))} now"
    for gone in (one for one in old.get("enum", []) if one not in new["enum"]):
        yield f"may not be {gone!r} any more"


def _bounds(old: Schema, new: Schema) -> Iterator[str]:
    raised = [n for n in _LEAST if n in new and new[n] > old.get(n, _UNBOUNDED.get(n, 0))]
    lowered = [n for n in _MOST if n in new and new[n] < old.get(n, math.inf)]
    for name in (*raised, *lowered):
        yield f"{name} was {old.get(name, 'none')} and is {new[name]}"


def _members(old: Schema, new: Schema, where: str) -> Iterator[str]:
    was, now = old.get("properties", {}), new.get("properties", {})
    closed = new.get("additionalProperties") is False
    for name, rule in was.items():
        place = f"{where}.{name}" if where else name
        if name in now:
            yield from narrowed(rule, now[name], place)
        elif closed:
            yield f"{place} is not taken any more"
    for name in new.get("required", []):
        if name not in old.get("required", []):
            yield f"{f'{where}.' if where else ''}{name} has to be given now"


def withdrawn(old: Schema, new: Schema, where: str = "") -> Iterator[str]:
    """Return what an answer of the old schema had for sure and one of the new has not."""
    was, now = old.get("properties", {}), new.get("properties", {})
    for name, rule in was.items():
        place = f"{where}.{name}" if where else name
        if name not in now:
            yield f"{place} is gone"
            continue
        if name in old.get("required", []) and name not in new.get("required", []):
            yield f"{place} may be absent now"
        if not _types(now[name]) <= _types(rule) and _types(rule):
            yield f"{place} is {' or '.join(sorted(_types(now[name])))} now"
        yield from withdrawn(rule, now[name], place)
    if isinstance(old.get("items"), Mapping):
        yield from withdrawn(old["items"], new.get("items", {}), f"{where}[]")
