"""`[[confine]]`: which directories' sessions see one namespace and nothing else of the memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, dataclass
from fnmatch import translate
from functools import partial

from khive_supervisor.config.settings.notes import Notes, read_table, read_tables
from khive_supervisor.config.settings.values import declared, quoted, users_own
from khive_supervisor.host import paths

#: Tables of one configuration; each session's directory is held against all of them.
MAX_TABLES = 100
#: What a pattern of directories may look like.
PATTERN = r"(/|~/|~$).*"
PATTERN_FORM = "absolute or ~/; *, ? and [...] within a name, ** for folders"
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Confine:
    """Sessions in these directories see this namespace, and nothing else of the memory."""

    namespace: str = users_own(
        MISSING,
        "text",
        "The only namespace that exists for them.",
        applies="session",
        bounds=(1, 128),
        pattern=r"[^\s*?\[\]]+",
        form="without spaces, *, ? and brackets",
    )
    path: str = users_own(
        "",
        "text",
        "The directories, with all that is below them: `~/work/acme/**`. Without it, the table "
        "is for HTTP tokens and tasks alone.",
        applies="session",
        bounds=(None, 4096),
        pattern=PATTERN,
        form=PATTERN_FORM,
        optional=True,
    )


def as_dict(table: Confine) -> dict[str, str]:
    """Plain data that JSON can carry."""
    return {name: getattr(table, name) for name in declared(Confine)}


def read_confine(content: object, notes: Notes) -> tuple[Confine, ...]:
    """Return the tables that are valid; whatever is not is noted."""
    tables = read_tables("confine", "directory", MAX_TABLES, content, notes, partial(_read, notes))
    _note_contradictions(tables, notes)
    return tuple(table for table in tables if table is not None)


def _read(notes: Notes, place: str, content: object) -> Confine | None:
    return read_table(Confine, place, content, notes, required=("namespace",))


def _note_contradictions(tables: Iterable[Confine | None], notes: Notes) -> None:
    """Note each directory that is confined to two namespaces."""
    seen: dict[str, tuple[str, str]] = {}
    for number, table in enumerate(tables):
        if table is None or not table.path:
            continue
        key = f"confine[{number}].path"
        path = table.path.rstrip("/").removesuffix("/**")
        first, namespace = seen.setdefault(path, (key, table.namespace))
        if namespace != table.namespace:
            text = f"{quoted(table.path)} is confined to {quoted(namespace)} already, by {first}"
            notes.note(key, key, f"{text} ({notes.where(first)})")


# --- matching -------------------------------------------------------------------------------------


def confinement_of(tables: Iterable[Confine], place: str) -> Confine | None:
    """The table that confines a directory, a real path; the one of the longest pattern counts."""
    matching = [table for table in tables if table.path and matches(table.path, place)]
    return max(matching, key=lambda table: _weight(table.path), default=None)


def matches(pattern: str, place: str) -> bool:
    """Return True if a directory, a real path, is one of a pattern's or lies below one."""
    return any(re.fullmatch(_regex(form), place) for form in _forms(pattern))


def _weight(pattern: str) -> tuple[int, int]:
    """Return how much a pattern says: its parts without wildcards, then all of them."""
    parts = [part for part in pattern.split("/") if part]
    return sum(not _WILD.search(part) for part in parts), len(parts)


def _forms(pattern: str) -> Iterator[str]:
    """A pattern as it is written, and with the links in its beginning resolved."""
    if pattern == "~" or pattern.startswith("~/"):
        pattern = paths.home() + pattern[1:]
    parts = pattern.split("/")
    wild = next((n for n, part in enumerate(parts) if _WILD.search(part)), len(parts))
    fixed, rest = "/".join(parts[:wild]), parts[wild:]
    for beginning in {os.path.normpath(fixed or "/"), os.path.realpath(fixed or "/")}:
        yield "/".join([beginning.rstrip("/"), *rest])


def _regex(pattern: str) -> str:
    parts = [part for part in pattern.split("/") if part]
    return "".join(_part(part) for part in parts) + r"(?:/.*)?"


def _part(part: str) -> str:
    if part == "**":
        return r"(?:/[^/]+)*"
    inner = "".join(_piece(piece) for piece in re.split(r"(\*+|\?)", part))
    return "/" + inner


def _piece(piece: str) -> str:
    """Return a piece of a name; nothing in it matches a slash."""
    if piece and not piece.strip("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    return translate(piece).removeprefix("(?s:").removesuffix(r")\Z") if piece else ""
