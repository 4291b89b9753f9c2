"""What stands before and after a result in its document: the question above, the answer below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khive_supervisor.search.results import Hit, document_of
from khive_supervisor.store.model import Beside, Entry, EntryFilter
from khive_supervisor.verbs import answers, forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: Results that are shown with what stands around them, the first ones.
MOST = 3
#: Which part of a result's characters each side has, and how many at most.
SHARE, LONGEST = 6, 200
#: The fields of a result.
BEFORE, AFTER = "before", "after"


def with_beside(arrange: answers.Arrange, args: Arguments, where: EntryFilter) -> answers.Arrange:
    """Return what arranges results as `arrange` does, and marks the first with what is around."""
    characters = args.get("max_characters", answers.DEFAULT_CHARACTERS)
    around = EntryFilter(namespaces=where.namespaces, projects=where.projects)

    def arranged(context: Context, hits: Sequence[Hit]) -> answers.Arranged:
        ordered, marks = arrange(context, hits)
        marked = {one: {**said} for one, said in marks.items()}
        for one, said in _around(context, ordered, around, min(characters // SHARE, LONGEST)):
            marked[one] = {**marked.get(one, {}), **said}
        return ordered, marked

    return arranged


def _around(
    context: Context, hits: Sequence[Hit], where: EntryFilter, characters: int
) -> list[tuple[int, Mapping[str, str]]]:
    """Return what stands around the first results that are pieces, by their ids."""
    pieces = [hit.entry.id for hit in hits[:MOST] if document_of(hit.entry) != hit.entry.id]
    beside = context.store.sources.beside(pieces) if pieces else {}
    shown = {piece.entry.id for hit in hits for piece in hit.every}
    wanted = {one for found in beside.values() for one in (found.before, found.after) if one}
    allowed = context.store.entries.filter_ids(wanted - shown, where) if wanted else set()
    entries = {one.id: one for one in context.store.entries.get([*allowed])}
    return [(one, _said(found, entries, characters)) for one, found in beside.items()]


def _said(beside: Beside, entries: Mapping[int, Entry], characters: int) -> dict[str, str]:
    """Return the end of what stands before, and the beginning of what stands after."""
    before, after = entries.get(beside.before or 0), entries.get(beside.after or 0)
    said = {}
    if before is not None:
        said[BEFORE] = f"{_name(before)} {_end(_flat(before), characters)}"
    if after is not None:
        said[AFTER] = f"{_name(after)} {_beginning(_flat(after), characters)}"
    return said


def _name(entry: Entry) -> str:
    return forms.show_id(entry.collection, entry.id)


def _flat(entry: Entry) -> str:
    return " ".join(entry.content.split())


def _beginning(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters].rstrip()}…"


def _end(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"…{text[-characters:].lstrip()}"
