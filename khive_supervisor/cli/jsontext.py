"""Change one member of a JSON document and leave every other byte as it is.

Pure. A document is parsed before and after; the edit counts only if nothing else changed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")
_DEFAULT_INDENT = "  "


class CannotEdit(ValueError):
    """The text is not strict JSON (comments, trailing commas), or has no place for the member."""


@dataclass(frozen=True, slots=True)
class _Member:
    """Where one member of an object stands: its key, its value, and what it is called."""

    name: str
    start: int
    value: int
    end: int


def parse(text: str) -> dict[str, Any]:
    """The document as an object; an empty text is an empty object.

    Raises:
        CannotEdit: it is not strict JSON, or not an object.
    """
    body = text.removeprefix("\ufeff")
    if not body.strip():
        return {}
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CannotEdit(f"it is not strict JSON ({error})") from None
    if not isinstance(data, dict):
        raise CannotEdit("it is not a JSON object")
    return data


def set_member(text: str, section: str, name: str, value: dict[str, Any]) -> str:
    """The document with `section.name` added or replaced; key order and indentation are kept.

    Raises:
        CannotEdit: see `parse`; or the section is not an object, or stands there twice.
    """
    before = parse(text)
    expected = {**before, section: {**_object(before, section), name: value}}
    if not text.removeprefix("\ufeff").strip():
        return text + json.dumps(expected, indent=_DEFAULT_INDENT, ensure_ascii=False) + "\n"
    unit = _indent_unit(text)
    top = _members(text, _first(text))
    holder = _find(top, section)
    if holder is None:
        edited = _append(text, _first(text), top, section, {name: value}, unit)
    else:
        members = _members(text, holder.value)
        present = _find(members, name)
        if present is None:
            edited = _append(text, holder.value, members, name, value, unit)
        else:
            shown = _dump(value, unit, _indent_of(text, present.start), text)
            edited = text[: present.value] + shown + text[present.end :]
    return _verified(edited, expected)


def remove_member(text: str, section: str, name: str) -> str:
    """The document without `section.name`; the section itself stays.

    Raises:
        CannotEdit: see `set_member`.
    """
    before = parse(text)
    kept = {key: item for key, item in _object(before, section).items() if key != name}
    if section not in before or name not in before[section]:
        return text
    holder = _find(_members(text, _first(text)), section)
    assert holder is not None
    members = _members(text, holder.value)
    present = _find(members, name)
    assert present is not None
    index = members.index(present)
    if index:
        start, end = members[index - 1].end, present.end
    elif len(members) > 1:
        start, end = present.start, members[1].start
    else:
        start, end = holder.value + 1, holder.end - 1
    return _verified(text[:start] + text[end:], {**before, section: kept})


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(data: dict[str, Any], section: str) -> dict[str, Any]:
    inner = data.get(section, {})
    if not isinstance(inner, dict):
        raise CannotEdit(f'its "{section}" is not an object')
    return inner


def _first(text: str) -> int:
    return _skip(text, 1 if text.startswith("\ufeff") else 0)


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()


def _members(text: str, opening: int) -> list[_Member]:
    """The members of the object whose `{` is at `opening`; the text is known to be valid."""
    decoder = json.JSONDecoder()
    found: list[_Member] = []
    position = _skip(text, opening + 1)
    while text[position] != "}":
        start = position
        name, position = decoder.raw_decode(text, position)
        value = _skip(text, _skip(text, position) + 1)
        _, end = decoder.raw_decode(text, value)
        found.append(_Member(name, start, value, end))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return found


def _find(members: list[_Member], name: str) -> _Member | None:
    same = [member for member in members if member.name == name]
    if len(same) > 1:
        raise CannotEdit(f'it has "{name}" more than once')
    return same[0] if same else None


def _append(
    text: str, opening: int, members: list[_Member], name: str, value: Any, unit: str
) -> str:
    """Add a member at the end of the object whose `{` is at `opening`."""
    newline = _newline(text)
    if members:
        last = members[-1]
        own_line = _own_line(text, last.start)
        indent = _indent_of(text, last.start)
        gap = "," + (newline + indent if own_line else " ")
        shown = f"{json.dumps(name)}: {_dump(value, unit, indent, text)}"
        return text[: last.end] + gap + shown + text[last.end :]
    outer = _indent_of(text, opening)
    shown = f"{json.dumps(name)}: {_dump(value, unit, outer + unit, text)}"
    closing = _skip(text, opening + 1)
    inside = newline + outer + unit + shown + newline + outer
    return text[: opening + 1] + inside + text[closing:]


def _dump(value: Any, unit: str, indent: str, text: str) -> str:
    shown = json.dumps(value, indent=unit, ensure_ascii=False)
    return shown.replace("\n", _newline(text) + indent)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _own_line(text: str, position: int) -> bool:
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return not line.strip()


def _indent_of(text: str, position: int) -> str:
    """The white space that the line of a position begins with."""
    start = text.rfind("\n", 0, position) + 1
    match = re.compile(r"[ \t]*").match(text, start)
    assert match is not None
    return match.group()


def _indent_unit(text: str) -> str:
    match = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return match.group(1) if match else _DEFAULT_INDENT


def _verified(edited: str, expected: dict[str, Any]) -> str:
    if parse(edited) != expected:
        raise CannotEdit("an edit would have changed more than this entry")
    return edited
