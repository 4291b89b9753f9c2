"""Change one table of a TOML document and leave every other line as it is, comments included.

Pure. A document is parsed before and after; the edit counts only if nothing else changed. Tables
with headers are edited by lines, since tomlkit puts a new one between a comment and what it is
about; inline tables, which have no lines of their own, are edited by tomlkit.
"""

from __future__ import annotations

import copy
import datetime as dt
import re
import tomllib
from collections.abc import Callable
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from khive_supervisor.cli.clients.jsontext import CannotEdit
from khive_supervisor.config.settings.locate import Path, Statement, statements
from khive_supervisor.config.settings.values import quoted

#: Lines of the longest value in a file of another program: prompts can be long texts.
LONGEST_VALUE = 2000

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def parse(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        CannotEdit: it is not valid TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise CannotEdit(f"it is not valid TOML ({error})") from None


def set_member(text: str, section: str, name: str, value: dict[str, Any]) -> str:
    """The document with the table [section.name] added or changed.

    Lines of the table that already say what they should stay, with their comments.

    Raises:
        CannotEdit: the document is not valid TOML, or has no safe place for the table.
    """
    before = parse(text)
    present = _table(before, section).get(name)
    expected = copy.deepcopy(before)
    expected.setdefault(section, {})[name] = value
    if present == value:
        return text
    candidates = [_without(text, (section, name))] if present is not None else [text]
    edited = [_with_block(candidate, section, name, value) for candidate in candidates]
    if isinstance(present, dict):
        edited.insert(0, _with_settings(text, (section, name), present, value))
    edited.append(_inline(text, lambda document: document[section].update({name: value})))
    for candidate in edited:
        if _says(candidate, expected):
            return candidate
    raise CannotEdit(f"it writes [{section}] in a form that cannot be edited safely")


def remove_member(text: str, section: str, name: str) -> str:
    """The document without the table [section.name].

    Raises:
        CannotEdit: see `set_member`.
    """
    before = parse(text)
    if name not in _table(before, section):
        return text
    edited = [
        _without(text, (section, name)),
        _inline(text, lambda document: document[section].pop(name)),
    ]
    expected = copy.deepcopy(before)
    del expected[section][name]
    # Without its last table a section that is nowhere written by itself is gone as well.
    gone = {key: item for key, item in expected.items() if key != section or item}
    for candidate in edited:
        if _says(candidate, expected) or _says(candidate, gone):
            return candidate
    raise CannotEdit(f"it writes [{section}.{name}] in a form that cannot be edited safely")


def append_table(text: str, section: str, value: dict[str, Any]) -> str:
    """The document with one more [[section]] table at its end.

    Raises:
        CannotEdit: see `set_member`.
    """
    before = parse(text)
    present = before.get(section, [])
    if not isinstance(present, list):
        raise CannotEdit(f"its {section} is not a list of tables, [[{section}]]")
    edited = [
        _at_the_end(text, f"[[{_key(section)}]]", value),
        _inline(text, lambda document: document[section].append(value)),
    ]
    for candidate in edited:
        if _says(candidate, {**before, section: [*present, value]}):
            return candidate
    raise CannotEdit(f"it writes {section} in a form that cannot be edited safely")


def _inline(text: str, edit: Callable[[Any], object]) -> str:
    """The text as tomlkit edits it; the text itself where it cannot."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    try:
        document = tomlkit.parse(text.removeprefix(mark))
        edit(document)
        return mark + tomlkit.dumps(document)
    except (TOMLKitError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return text


def _table(data: dict[str, Any], section: str) -> dict[str, Any]:
    inner = data.get(section, {})
    if not isinstance(inner, dict):
        raise CannotEdit(f"its {section} is not a table")
    return inner


def _says(text: str, expected: dict[str, Any]) -> bool:
    try:
        return parse(text) == expected
    except CannotEdit:
        return False


def _lines(text: str) -> list[str]:
    return text.split("\n")


def _belongs(path: Path, prefix: Path) -> bool:
    return path[: len(prefix)] == prefix


def _without(text: str, prefix: Path) -> str:
    """The lines without those that write the table `prefix` or what is in it."""
    lines = _lines(text)
    doomed: set[int] = set()
    inside = False
    for statement in statements(text, LONGEST_VALUE):
        if statement.header is not None:
            inside = _belongs(statement.header, prefix)
        ours = inside and (statement.header is not None or statement.keys)
        if ours or any(_belongs(path, prefix) for path in statement.keys[-1:]):
            doomed.update(range(statement.first, statement.end))
            if statement.header is not None and statement.first and not lines[statement.first - 1]:
                doomed.add(statement.first - 1)
    return "\n".join(line for number, line in enumerate(lines) if number not in doomed)


def _with_settings(text: str, prefix: Path, present: dict[str, Any], value: dict[str, Any]) -> str:
    """Change single settings below an existing [section.name] header; others stay as written."""
    lines = _lines(text)
    header: Statement | None = None
    written: dict[str | int, Statement] = {}
    inside = False
    for statement in statements(text, LONGEST_VALUE):
        if statement.header is not None:
            inside = statement.header == prefix
            header = statement if inside else header
        elif inside and statement.keys:
            written[statement.keys[0][len(prefix)]] = statement
    if header is None:
        return text
    added = [_setting(key, item) for key, item in value.items() if key not in present]
    replaced = {
        statement.first: (statement, [_setting(str(key), value[str(key)])] if key in value else [])
        for key, statement in written.items()
        if value.get(str(key)) != present.get(str(key))
    }
    result: list[str] = []
    number = 0
    while number < len(lines):
        if number in replaced:
            statement, new = replaced[number]
            result += [_ending(line, lines) for line in new]
            number = statement.end
            continue
        result.append(lines[number])
        if number == header.first:
            result += [_ending(line, lines) for line in added]
        number += 1
    return "\n".join(result)


def _with_block(text: str, section: str, name: str, value: dict[str, Any]) -> str:
    return _at_the_end(text, f"[{_key(section)}.{_key(name)}]", value)


def _at_the_end(text: str, header: str, value: dict[str, Any]) -> str:
    """Append a table at the end, where a header can always stand."""
    lines = _lines(text)
    body = text.rstrip("\n\r")
    block = [header, *(_setting(key, item) for key, item in value.items())]
    shown = "\n".join(_ending(line, lines) for line in block) + "\n"
    gap = _ending("", lines) + "\n"
    return f"{body}{gap}{gap}{shown}" if body else shown


def _ending(line: str, lines: list[str]) -> str:
    """The line with the carriage return that the document's other lines have."""
    return line + "\r" if lines[0].endswith("\r") else line


def _setting(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else quoted(name)


def _value(value: Any) -> str:
    """Any value that the standard parser gives, as TOML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        return "{" + ", ".join(_setting(key, item) for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return repr(value)
