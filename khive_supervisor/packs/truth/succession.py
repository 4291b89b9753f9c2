"""What a memory that replaces others keeps of them: all that its call does not mention."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from khive_supervisor.packs.truth import code
from khive_supervisor.store.links import CodeReference
from khive_supervisor.store.model import Entry, NewEntry
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: What is said of a memory beside its text, and stays; where several are replaced, what they
#: have in common.
_SAID = ("kind", "salience", "decay", "source", "valid_from", "valid_until")
#: A kind that is said brings its own weights.
_OF_KIND = frozenset(("salience", "decay"))
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a memory is stored: its namespace, and the number of its project."""

    namespace: str
    project: int | None


def place(old: Sequence[Entry], args: Arguments, else_: Place) -> Place:
    """Return where a memory belongs that replaces others: where they are, unless it is said.

    Memories of several projects leave it where the session is; one for every project among them
    makes it one, too.
    """
    spaces, projects = {one.namespace for one in old}, {one.project for one in old}
    namespace = spaces.pop() if len(spaces) == 1 and "namespace" not in args else else_.namespace
    if "everywhere" in args or not projects:
        return Place(namespace, else_.project)
    if None in projects:
        return Place(namespace, None)
    return Place(namespace, projects.pop() if len(projects) == 1 else else_.project)


def continued(new: NewEntry, old: Sequence[Entry], mentioned: Collection[str]) -> NewEntry:
    """Return a memory with what it keeps of those that it replaces.

    `mentioned` are the names of what its call says; `tags` of several are put together.
    """
    if not old:
        return new
    said = set(mentioned) | (_OF_KIND if "kind" in mentioned else set())
    kept: dict[str, Any] = {}
    for name in _SAID:
        values = {getattr(one, name) for one in old}
        if name not in said and len(values) == 1:
            kept[name] = values.pop()
    if "tags" not in said:
        kept["tags"] = tuple(dict.fromkeys(tag for one in old for tag in one.tags))
    if "title" not in said and len({one.title for one in old}) == 1:
        kept["title"] = old[0].title if holds_still(old, new.content) else ""
    return replace(new, **kept)


def holds_still(old: Iterable[Entry], content: str) -> bool:
    """Return False if a title says something that was in its text and is not any more."""
    now = _words(content)
    return all(_words(one.title) & _words(one.content) <= now for one in old)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def take_references(context: Context, old: Sequence[Entry], new: int, content: str) -> None:
    """Let a memory be about the code that those were about which it replaces."""
    found = context.store.references.of([one.id for one in old])
    kept = [one for references in found.values() for one in references]
    if kept:
        now = code.looked_at(context, kept)
        context.store.references.add(new, [_said_still(one, content) for one in now])


def _said_still(one: CodeReference, content: str) -> CodeReference:
    """Return a reference without a value that the text does not name any more."""
    is_said = one.value is not None and one.value.strip("\"'") in content
    return one if is_said else replace(one, value=None)
