"""Which lines of a TOML file say what; the standard parser tells only the result."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from khive_supervisor.text.plain_json import JsonObject

#: A key's place in a document: names, and positions in lists of tables.
Path = tuple[str | int, ...]

#: Levels of tables whose keys are told; what is deeper is in no configuration, and would take
#: quadratic time.
DEEPEST = 12

#: Lines of one value after which line numbers are given up: each line of a value costs one more
#: parse, and they are a courtesy that must never make the loader slow.
LONGEST_VALUE = 50


@dataclass(frozen=True, slots=True)
class Statement:
    """Some lines of a document that are one table header, one setting, or a blank or comment.

    Attributes:
        first, end: its lines, from 0; `end` is the line after it.
        header: the path that a [table] or [[list of tables]] line opens; None for the rest.
        keys: the paths that a setting gives a value to, and the tables on the way to them.
    """

    first: int
    end: int
    header: Path | None = None
    keys: tuple[Path, ...] = ()


def statements(text: str, longest: int = LONGEST_VALUE) -> Iterator[Statement]:
    """The statements of a valid TOML document in order; ends early at one of more lines.

    A statement that is cut short is not valid TOML, so the shortest run of lines that parses
    alone is one statement.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    arrays: dict[Path, int] = {}
    table: Path = ()
    first = 0
    while first < len(lines):
        end, parsed = _shortest(lines, first, longest)
        if end is None:
            return
        if lines[first].lstrip(" \t").startswith("["):
            table = _header(parsed, arrays)
            yield Statement(first, end, header=table)
        else:
            yield Statement(first, end, keys=tuple(_keys(parsed, table)))
        first = end


def line_numbers(text: str, longest: int = LONGEST_VALUE) -> dict[str, int]:
    """Return the line (from 1) of each key of a valid document: "table.key", "roles[0].role".

    Keys after a value of more than `longest` lines are left out.
    """
    found: dict[str, int] = {}
    for statement in statements(text, longest):
        paths = statement.keys if statement.header is None else (statement.header,)
        for path in paths:
            found.setdefault(dotted(path), statement.first + 1)
    return found


def dotted(path: Path) -> str:
    """Return a path as people write it: `roles[0].role`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shortest(lines: list[str], first: int, longest: int) -> tuple[int | None, JsonObject]:
    """The line after the statement that begins at `first`, and what it says; None: too long."""
    for end in range(first + 1, min(first + longest, len(lines)) + 1):
        try:
            return end, tomllib.loads("\n".join(lines[first:end]))
        except (ValueError, RecursionError):
            continue
    return None, {}


def _header(parsed: JsonObject, arrays: dict[Path, int]) -> Path:
    """Return the path that a header line opens; counts the items of lists of tables."""
    path: Path = ()
    while parsed and len(path) < DEEPEST:
        key, inner = next(iter(parsed.items()))
        path = (*path, key)
        if isinstance(inner, list):
            arrays[path] = arrays.get(path, -1) + 1
            inner = inner[0]
        if path in arrays:
            path = (*path, arrays[path])
        parsed = inner
    return path


def _keys(parsed: JsonObject, prefix: Path) -> Iterator[Path]:
    """The paths of all keys in the order of the document, down to what a configuration has."""
    for key, value in parsed.items():
        path = (*prefix, key)
        yield path
        if isinstance(value, dict) and len(path) < DEEPEST:
            yield from _keys(value, path)
