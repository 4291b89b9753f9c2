"""A git configuration as a file: the few values that tell where a repository belongs. Pure.

Nothing is included, expanded or executed; what is not understood is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_SECTION = re.compile(r'\s*\[\s*([A-Za-z0-9.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\](.*)')
_VALUE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=\s*(.*))?")
_ESCAPED = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}


def values(text: str) -> dict[str, list[str]]:
    """Return each key (`core.worktree`, `remote.origin.url`) with its values, in their order.

    Section and name are in small letters, a subsection as it is written.
    """
    found: dict[str, list[str]] = {}
    section = ""
    for line in _logical_lines(text):
        rest = line
        if opened := _SECTION.match(line):
            name, sub, rest = opened[1].lower(), opened[2], opened[3]
            section = name if sub is None else f"{name}.{_without_escapes(sub)}"
        if section and (given := _VALUE.match(rest)):
            value = "true" if given[2] is None else _unquoted(given[2])
            found.setdefault(f"{section}.{given[1].lower()}", []).append(value)
    return found


def _without_escapes(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[1], text)


def _logical_lines(text: str) -> Iterator[str]:
    """Yield lines, those that end in a backslash put together with the next one."""
    whole = ""
    for line in text.splitlines():
        if line.endswith("\\") and not line.endswith("\\\\"):
            whole += line[:-1]
        else:
            yield whole + line
            whole = ""


def _unquoted(text: str) -> str:
    """Return a value without quotes, escapes, and a comment behind it."""
    parts: list[str] = []
    quoted, kept = False, 0
    signs = iter(text)
    for sign in signs:
        if sign == '"':
            quoted = not quoted
        elif sign == "\\":
            following = next(signs, "")
            parts.append(_ESCAPES.get(following, following))
        elif sign in "#;" and not quoted:
            break
        else:
            parts.append(sign)
        if quoted or not sign.isspace():
            kept = len(parts)
    return "".join(parts[:kept])
