"""On which line of a TOML file each key stands; the standard parser does not say."""

from __future__ import annotations

import tomllib
from typing import Any

#: Lines of one value after which the search ends: each line of a value costs one more parse, and
#: line numbers are a courtesy that must never make the loader slow.
LONGEST_VALUE = 50


def line_numbers(text: str) -> dict[str, int]:
    """The line (from 1) of each key of a valid TOML document: "table.key", "roles[0].role".

    A document is a sequence of statements, and a statement that is cut short is not valid TOML.
    So the shortest run of lines that parses alone is one statement, and its keys are on its line.
    Keys after a value of more than `LONGEST_VALUE` lines are left out.
    """
    found: dict[str, int] = {}
    arrays: dict[str, int] = {}
    header, start = "", 0
    lines = text.replace("\r\n", "\n").split("\n")
    while start < len(lines):
        end, parsed = _statement(lines, start)
        if end is None:
            break
        if lines[start].lstrip().startswith("["):
            header = _header(parsed, arrays)
            found.setdefault(header, start + 1)
        else:
            for key in _keys(parsed, header):
                found.setdefault(key, start + 1)
        start = end
    return found


def _statement(lines: list[str], start: int) -> tuple[int | None, dict[str, Any]]:
    """The line after the statement that begins at `start`, and what it says; None: too long."""
    for end in range(start + 1, min(start + LONGEST_VALUE, len(lines)) + 1):
        try:
            return end, tomllib.loads("\n".join(lines[start:end]))
        except (ValueError, RecursionError):
            continue
    return None, {}


def _header(parsed: dict[str, Any], arrays: dict[str, int]) -> str:
    """The path that a [table] or [[list of tables]] line opens; counts the latter's items."""
    path, level = "", parsed
    while level:
        key, inner = next(iter(level.items()))
        path = f"{path}.{key}" if path else key
        if isinstance(inner, list):
            arrays[path] = arrays.get(path, -1) + 1
            inner = inner[0]
        if path in arrays:
            path = f"{path}[{arrays[path]}]"
        level = inner
    return path


def _keys(parsed: dict[str, Any], prefix: str) -> list[str]:
    keys = []
    for key, value in parsed.items():
        path = f"{prefix}.{key}" if prefix else key
        keys.append(path)
        if isinstance(value, dict):
            keys.extend(_keys(value, path))
    return keys
