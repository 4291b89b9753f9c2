"""Change one table of a TOML document and leave every other line as it is, comments included.

Pure. tomlkit writes values, and changes what keeps its place. It would put a new key or table
between a comment and what that is about, and remove such a comment with the table before it: lines
are added and removed here. An edit counts only if the document then says what it should, and has
all lines that are not about the table.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from khive_supervisor.cli.clients.json_edit import CannotEdit
from khive_supervisor.config.settings.locate import Path, Statement, statements
from khive_supervisor.text.plain_json import JsonObject

#: Lines of the longest value in a file of another program: prompts can be long texts.
LONGEST_VALUE = 2000


def parse(text: str) -> JsonObject:
    """Return the document.

    Raises:
        CannotEdit: it is not valid TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise CannotEdit(f"it is not valid TOML ({error})") from None


def set_member(text: str, section: str, name: str, value: JsonObject) -> str:
    """Return the document with the table [section.name] added or changed.

    Lines of the table that already say what they should stay, with their comments.

    Raises:
        CannotEdit: the document is not valid TOML, or has no safe place for the table.
    """
    before = parse(text)
    tables = _table(before, section)
    if tables.get(name) == value:
        return text

    def candidates() -> Iterator[str]:
        if isinstance(present := tables.get(name), dict):
            yield _with_settings(text, (section, name), present, value)
        rest = _without(text, (section, name)) if name in tables else text
        yield _at_the_end(rest, f"[{tomlkit.key([section, name]).as_string()}]", value)
        yield _by_tomlkit(text, lambda document: document[section].update({name: value}))

    wanted = {**before, section: {**tables, name: value}}
    return _first_safe(text, (section, name), candidates(), wanted)


def remove_member(text: str, section: str, name: str) -> str:
    """Return the document without the table [section.name]; raises as `set_member`."""
    before = parse(text)
    tables = _table(before, section)
    if name not in tables:
        return text

    def candidates() -> Iterator[str]:
        yield _without(text, (section, name))
        yield _by_tomlkit(text, lambda document: document[section].pop(name))

    left = {key: item for key, item in tables.items() if key != name}
    # Without its last table a section that is nowhere written by itself is gone as well.
    gone = {key: item for key, item in before.items() if key != section}
    wanted = [{**before, section: left}] if left else [{**before, section: left}, gone]
    return _first_safe(text, (section, name), candidates(), *wanted)


def append_table(text: str, section: str, value: JsonObject) -> str:
    """Return the document with one more [[section]] table at its end; raises as `set_member`."""
    before = parse(text)
    present = before.get(section, [])
    if not isinstance(present, list):
        raise CannotEdit(f"its {section} is not a list of tables, [[{section}]]")

    def candidates() -> Iterator[str]:
        yield _at_the_end(text, f"[[{tomlkit.key(section).as_string()}]]", value)
        yield _by_tomlkit(text, lambda document: document[section].append(value))

    wanted = {**before, section: [*present, value]}
    return _first_safe(text, (section, len(present)), candidates(), wanted)


def _table(data: JsonObject, section: str) -> JsonObject:
    inner = data.get(section, {})
    if not isinstance(inner, dict):
        raise CannotEdit(f"its {section} is not a table")
    return inner


def _first_safe(text: str, path: Path, candidates: Iterator[str], *wanted: JsonObject) -> str:
    """Return the first edit that says one of `wanted` and keeps all lines that are not of `path`.

    Raises:
        CannotEdit: none does.
    """
    lines = text.split("\n")
    parts = _statements(text, path, around=True)
    ours = {line for one in parts for line in range(one.first, one.end)}
    kept = [line for number, line in enumerate(lines) if number not in ours and line.strip()]
    for candidate in candidates:
        edited = _with_ends_of(lines, candidate)
        found = iter(edited.split("\n"))
        with contextlib.suppress(CannotEdit):
            if parse(edited) in wanted and all(line in found for line in kept):
                return edited
    raise CannotEdit(f"it writes [{path[0]}] in a form that cannot be edited safely")


def _with_ends_of(lines: list[str], edited: str) -> str:
    """Return a text whose new lines end as the first of these does."""
    if not lines[0].endswith("\r"):
        return edited
    known = set(lines[:-1])
    *body, last = edited.split("\n")
    ended = [line if line in known or line.endswith("\r") else line + "\r" for line in body]
    return "\n".join([*ended, last])


def _statements(text: str, path: Path, *, around: bool = False) -> Iterator[Statement]:
    """The statements that write the table `path` or what is in it.

    With `around`, also one that may write it as a part of an inline table or a dotted key.
    """
    inside = False
    for one in statements(text, LONGEST_VALUE):
        if one.header is not None:
            inside = _belongs(one.header, path)
        if one.header is not None or one.keys:
            written = any(_belongs(deepest, path) for deepest in one.keys[-1:])
            if inside or written or (around and any(_belongs(path, key) for key in one.keys[:1])):
                yield one


def _belongs(path: Path, table: Path) -> bool:
    return path[: len(table)] == table


def _without(text: str, path: Path) -> str:
    """Return the lines without those that write a table, and the blank line before its header."""
    lines = text.split("\n")
    doomed: set[int] = set()
    for one in _statements(text, path):
        doomed.update(range(one.first, one.end))
        if one.header is not None and one.first and not lines[one.first - 1].strip():
            doomed.add(one.first - 1)
    return "\n".join(line for number, line in enumerate(lines) if number not in doomed)


def _at_the_end(text: str, header: str, value: JsonObject) -> str:
    """Return the text with a table at its end, where a header can always stand."""
    block = "\n".join([header, *_settings(value)]) + "\n"
    body = text.rstrip("\n\r")
    return f"{body}\n\n{block}" if body else block


def _with_settings(text: str, path: Path, present: JsonObject, value: JsonObject) -> str:
    """Return the text with single settings of a table changed; new ones are below its header."""
    new = {key: item for key, item in value.items() if key not in present}
    header = next((one for one in statements(text, LONGEST_VALUE) if one.header == path), None)

    def edit(document: Any) -> None:
        table = document[path[0]][path[1]]
        for key in present.keys() - value.keys():
            del table[key]
        inline = tomlkit.inline_table()
        inline.update(value)
        for key in value:
            if value[key] != present.get(key) and (key in present or header is None):
                table[key] = inline[key]

    lines = _by_tomlkit(text, edit).split("\n")
    if header is not None:
        lines[header.end : header.end] = _settings(new)
    return "\n".join(lines)


def _settings(table: JsonObject) -> list[str]:
    """Return each setting as a line, whatever is in it."""
    lines = []
    for key, value in table.items():
        inline = tomlkit.inline_table()
        inline[key] = value
        lines.append(inline.as_string()[1:-1])
    return lines


def _by_tomlkit(text: str, edit: Callable[[Any], object]) -> str:
    """Return the text as tomlkit edits it; the text itself where it cannot."""
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    try:
        document = tomlkit.parse(text.removeprefix(mark))
        edit(document)
        return mark + tomlkit.dumps(document)
    except (TOMLKitError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return text
