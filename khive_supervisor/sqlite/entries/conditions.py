"""An `EntryFilter` as SQL, and as a part of a full-text expression."""

from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.sqlite.engine.database import Value
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.store.model import EntryFilter, NewEntry
from khive_supervisor.text.analysis import quoted, scope_token

#: A condition and what is bound to it.
Condition = tuple[str, list[Value]]


def scope_text(entry: NewEntry) -> str:
    """Return what the `scope` column of the index holds for an entry: one token a property."""
    tokens = [
        scope_token("collection", entry.collection),
        scope_token("namespace", entry.namespace),
        scope_token("kind", entry.kind),
        *(scope_token("tag", tag) for tag in entry.tags),
    ]
    return " ".join(tokens)


def scope_parts(where: EntryFilter) -> list[tuple[str, ...]]:
    """Return a filter but for its dates: for each condition, tokens of which one must be there."""
    parts: list[tuple[str, Sequence[str]]] = []
    if where.collection is not None:
        parts.append(("collection", [where.collection]))
    if where.namespaces is not None:
        parts.append(("namespace", where.namespaces))
    if where.kinds is not None:
        parts.append(("kind", where.kinds))
    parts += [("tag", [tag]) for tag in where.tags]
    return [tuple(scope_token(kind, name) for name in names) for kind, names in parts]


def scope_expression(parts: Sequence[Sequence[str]]) -> str:
    """Return the full-text expression for conditions of `scope_parts`; empty: no condition."""
    return " AND ".join(f"(scope : ({' OR '.join(map(quoted, tokens))}))" for tokens in parts)


def impossible(where: EntryFilter) -> bool:
    """Return True if nothing can pass, because a list of alternatives is empty."""
    return where.namespaces == () or where.kinds == () or where.projects == ()


def dates(where: EntryFilter) -> Condition:
    """Return the conditions on `created_at`, each with its leading AND."""
    sql, bindings = "", list[Value]()
    if where.since is not None:
        sql += " AND created_at >= ?"
        bindings.append(where.since)
    if where.until is not None:
        sql += " AND created_at < ?"
        bindings.append(where.until)
    return sql, bindings


def in_projects(where: EntryFilter, *, many: bool) -> Condition:
    """Return the condition on an entry's project, with its leading AND; 0 stands for none."""
    if where.projects is None:
        return "", []
    column = "ifnull(project_id, 0)" if many else "ifnull(+project_id, 0)"
    marks = ", ".join("?" * len(where.projects))
    return f" AND {column} IN ({marks})", [one or 0 for one in where.projects]


def said(where: EntryFilter) -> Condition:
    """Return the condition on who stored an entry, with its leading AND."""
    asked = where.said
    if not asked:
        return "", []
    same = " AND ".join(f"{name} = ?" for name in asked)
    condition = " AND provenance_id IN (SELECT id FROM provenance WHERE "
    return f"{condition}{same})", [*asked.values()]


def live(where: EntryFilter, *, many: bool) -> Condition:
    """Return the condition on `entries` for the live ones that pass.

    `many`: for going through the table, tags are looked up in the full-text index; without, for a
    few given ids, each entry's own list is looked at.
    """
    sql, bindings = passing(where, many=many)
    return LIVE + sql, bindings


def passing(where: EntryFilter, *, many: bool) -> Condition:
    """Return the condition on `entries`, live or not, for those that pass; with its leading AND."""
    sql, bindings = "", list[Value]()
    # The + keeps SQLite from walking an index of many entries to find a few given ones.
    by_index = "" if many else "+"
    if where.collection is not None:
        sql += f" AND {by_index}collection = ?"
        bindings.append(where.collection)
    for column, names in (("namespace", where.namespaces), ("kind", where.kinds)):
        if names is not None:
            sql += f" AND {by_index}{column} IN ({', '.join('?' * len(names))})"
            bindings += names
    more = (
        in_projects(where, many=many), said(where), dates(where), _tagged(where.tags, many=many),
        _of_row(where),
    )  # fmt: skip
    sql += "".join(condition for condition, _ in more)
    return sql, bindings + [value for _, values in more for value in values]


def _of_row(where: EntryFilter) -> Condition:
    """Return the conditions on an entry's source and on whether it is pinned."""
    sql, bindings = (" AND pinned_at IS NOT NULL" if where.pinned else ""), list[Value]()
    if where.source is not None:
        sql += " AND substr(source, 1, length(?)) = ?"
        bindings += [where.source, where.source]
    return sql, bindings


def _tagged(tags: Sequence[str], *, many: bool) -> Condition:
    if many and tags:
        expression = scope_expression(scope_parts(EntryFilter(tags=tuple(tags))))
        return " AND id IN (SELECT rowid FROM entries_fts WHERE entries_fts MATCH ?)", [expression]
    one = " AND EXISTS (SELECT 1 FROM json_each(entries.tags) WHERE value = ?)"
    return one * len(tags), list(tags)
