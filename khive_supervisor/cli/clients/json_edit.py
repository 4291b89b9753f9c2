"""Change one member of a JSON document and leave every other byte as it is.

Pure. Comments and trailing commas are understood, as editors write them into their settings: places
are looked for in a *plain* text of the same length, in which blanks stand for both, and edits are
made in the document. A document is parsed before and after; an edit counts only if nothing else
changed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from khive_supervisor.text.plain_json import JsonObject

_SPACE = re.compile(r"[ \t\r\n]*")
#: A string, or what strict JSON does not have: a comment (one that does not end is none).
_STRING_OR_COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_STRING_OR_TRAILING_COMMA = re.compile(r'"(?:[^"\\\n]|\\.)*"|,(?=[ \t\r\n]*[}\]])')
_NOT_A_LINE_END = re.compile(r"[^\r\n]")
_DEFAULT_INDENT = "  "


class CannotEdit(ValueError):
    """The text is not JSON, even with comments, or has no place for the member."""


@dataclass(frozen=True, slots=True)
class _Member:
    """Where one member of an object stands: its key, its value, and what it is called."""

    name: str
    start: int
    value: int
    end: int


def parse(text: str) -> JsonObject:
    """The document as an object; an empty text is an empty object.

    Raises:
        CannotEdit: it is not JSON, or not an object.
    """
    body = strict_form(text.removeprefix("\ufeff"))
    if not body.strip():
        return {}
    try:
        data = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CannotEdit(f"it is not JSON ({error})") from None
    if not isinstance(data, dict):
        raise CannotEdit("it is not a JSON object")
    return data


def set_member(text: str, section: str, name: str, value: object) -> str:
    """The document with `section.name` added or replaced; key order and indentation are kept.

    Raises:
        CannotEdit: see `parse`; or the section is not an object, or stands there twice.
    """
    before = parse(text)
    expected = {**before, section: {**_object(before, section), name: value}}
    plain = strict_form(text)
    if not plain.removeprefix("\ufeff").strip():
        comments = text if text.strip("\ufeff \t\r\n") else text.strip(" \t\r\n")
        return comments + json.dumps(expected, indent=_DEFAULT_INDENT, ensure_ascii=False) + "\n"
    unit = _indent_unit(plain)
    top = _members(plain, _first(plain))
    holder = _find(top, section)
    if holder is None:
        edited = _append(text, plain, _first(plain), top, section, {name: value}, unit)
    else:
        members = _members(plain, holder.value)
        present = _find(members, name)
        if present is None:
            edited = _append(text, plain, holder.value, members, name, value, unit)
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
    plain = strict_form(text)
    holder = _find(_members(plain, _first(plain)), section)
    assert holder is not None
    members = _members(plain, holder.value)
    present = _find(members, name)
    assert present is not None
    return _verified(_without(text, plain, holder, members, present), {**before, section: kept})


def remove_section(text: str, section: str) -> str:
    """Return the document without a member of its own, which is there; raises as `set_member`."""
    before = parse(text)
    plain = strict_form(text)
    members = _members(plain, _first(plain))
    present = _find(members, section)
    assert present is not None
    whole = _Member("", _first(plain), _first(plain), len(plain.rstrip()))
    kept = {key: item for key, item in before.items() if key != section}
    return _verified(_without(text, plain, whole, members, present), kept)


def value_of(plain: str, section: str, name: str) -> int:
    """Return where the value of `section.name` begins in a strict text that has it."""
    holder = _find(_members(plain, _first(plain)), section)
    assert holder is not None
    member = _find(_members(plain, holder.value), name)
    assert member is not None
    return member.value


def _without(
    text: str, plain: str, holder: _Member, members: list[_Member], present: _Member
) -> str:
    """The text without a member, its comma, and the line end or blanks before it."""
    index = members.index(present)
    end = _after_comma(text, present.end)
    start = present.start
    while text[start - 1] in " \t\r\n" and start - 1 > holder.value:
        start -= 1
    if len(members) == 1:
        if not text[holder.value + 1 : start].strip() and not text[end : holder.end - 1].strip():
            return text[: holder.value + 1] + text[holder.end - 1 :]
    elif index == 0 and not _own_line(text, present.start):
        start, end = present.start, skip(plain, end)
    last = index == len(members) - 1
    if last and index and end == present.end:
        # The comma that goes with it is the one before; comments between both stay.
        comma = _comma(text, members[index - 1].end)
        return text[:comma] + text[comma + 1 : start] + text[end:]
    return text[:start] + text[end:]


def _comma(text: str, position: int) -> int:
    """Where the comma after a value is, past blanks and comments; -1 if there is none."""
    bare = _STRING_OR_COMMENT.sub(_blanked, text)
    blank = skip(bare, position)
    return blank if bare[blank : blank + 1] == "," else -1


def _after_comma(text: str, position: int) -> int:
    """The end of a value with its comma, if it has one."""
    comma = _comma(text, position)
    return comma + 1 if comma >= 0 else position


def strict_form(text: str) -> str:
    """The text as strict JSON of the same length, if it is JSON with comments and commas."""
    without = _STRING_OR_COMMENT.sub(_blanked, text)
    return _STRING_OR_TRAILING_COMMA.sub(_blanked, without)


def _blanked(match: re.Match[str]) -> str:
    found = match[0]
    return found if found.startswith('"') else _NOT_A_LINE_END.sub(" ", found)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(data: JsonObject, section: str) -> JsonObject:
    inner = data.get(section, {})
    if not isinstance(inner, dict):
        raise CannotEdit(f'its "{section}" is not an object')
    return inner


def _first(text: str) -> int:
    return skip(text, 1 if text.startswith("\ufeff") else 0)


def skip(text: str, position: int) -> int:
    """Return the first place from a position on that is no white space."""
    match = _SPACE.match(text, position)
    assert match is not None
    return match.end()


def _members(text: str, opening: int) -> list[_Member]:
    """The members of the object whose `{` is at `opening`; the text is known to be valid."""
    decoder = json.JSONDecoder()
    found: list[_Member] = []
    position = skip(text, opening + 1)
    while text[position] != "}":
        start = position
        name, position = decoder.raw_decode(text, position)
        value = skip(text, skip(text, position) + 1)
        _, end = decoder.raw_decode(text, value)
        found.append(_Member(name, start, value, end))
        position = skip(text, end)
        if text[position] == ",":
            position = skip(text, position + 1)
    return found


def _find(members: list[_Member], name: str) -> _Member | None:
    same = [member for member in members if member.name == name]
    if len(same) > 1:
        raise CannotEdit(f'it has "{name}" more than once')
    return same[0] if same else None


def _append(
    text: str, plain: str, opening: int, members: list[_Member], name: str, value: Any, unit: str
) -> str:
    """Add a member at the end of the object whose `{` is at `opening`."""
    newline = _newline(text)
    if members:
        return _append_after(text, members[-1], name, value, unit)
    outer = _indent_of(text, opening)
    shown = f"{json.dumps(name)}: {_dump(value, unit, outer + unit, text)}"
    closing = skip(plain, opening + 1)
    inside = newline + outer + unit + shown + newline + outer
    comments = text[opening + 1 : closing].rstrip()
    return text[: opening + 1] + comments + inside + text[closing:]


def _append_after(text: str, last: _Member, name: str, value: Any, unit: str) -> str:
    """Add a member after the last one, with a trailing comma if that has one."""
    shown = f"{json.dumps(name)}: {_dump(value, unit, _indent_of(text, last.start), text)}"
    return _put_after(text, last.start, last.end, shown)


def append_item_after(text: str, start: int, end: int, item: object) -> str:
    """Return the text with an item after the last one of a list, which stands from start to end."""
    shown = _dump(item, _indent_unit(strict_form(text)), _indent_of(text, start), text)
    return _put_after(text, start, end, shown)


def _put_after(text: str, start: int, last: int, shown: str) -> str:
    """Put what is `shown` after what stands from `start` to `last`, on a line of its own if so."""
    end = _after_comma(text, last)
    trailing = end > last
    if not _own_line(text, start):
        return text[:end] + (f" {shown}," if trailing else f", {shown}") + text[end:]
    # What is said of the last one on its own line stays beside it.
    comment = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/)?").match(text, end)
    beyond = comment.end() if comment else end
    before = text[:end] + ("" if trailing else ",") + text[end:beyond].rstrip()
    added = _newline(text) + _indent_of(text, start) + shown
    return before + added + ("," if trailing else "") + text[beyond:]


def _dump(value: Any, unit: str, indent: str, text: str) -> str:
    shown = json.dumps(value, indent=unit, ensure_ascii=False)
    return shown.replace("\n", _newline(text) + indent)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _own_line(text: str, position: int) -> bool:
    return not text[text.rfind("\n", 0, position) + 1 : position].strip()


def _indent_of(text: str, position: int) -> str:
    """The white space that the line of a position begins with."""
    line = text[text.rfind("\n", 0, position) + 1 :].partition("\n")[0]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_unit(text: str) -> str:
    match = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return match.group(1) if match else _DEFAULT_INDENT


def _verified(edited: str, expected: JsonObject) -> str:
    if parse(edited) != expected:
        raise CannotEdit("an edit would have changed more than this entry")
    return edited
