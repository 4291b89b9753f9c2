"""The tables as records: a statement for each section of an export."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import base64
import json
from typing import Any

from khive_supervisor.sqlite.curation.listing import condition
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.curation import ExportFilter, Record

#: Columns of an entry that stand in its record under their own names.
ENTRY_COLUMNS = (
    "id", "collection", "namespace", "kind", "title", "content", "tags", "salience", "decay",
    "source", "created_at", "updated_at", "deleted_at", "superseded_by", "pinned_at", "branch",
    "valid_from", "valid_until",
)  # fmt: skip
PROFILE_COLUMNS = (
    "name", "description", "consumer_kind", "lifecycle", "builtin", "epoch", "events",
    "created_at", "updated_at",
)  # fmt: skip
EVENT_COLUMNS = (
    "at", "kind", "signal", "weight", "counted", "actor", "namespace", "session", "scorer_run",
    "serve", "detail",
)  # fmt: skip
EXECUTION_COLUMNS = (
    "attempt", "role", "task_type", "outcome", "error", "cost", "tokens", "seconds", "quality",
    "digest", "payload_digest", "session", "diff", "files", "began_at", "ended_at",
)  # fmt: skip
SOURCE_COLUMNS = ("namespace", "name", "root", "options", "run", "learned_at")
#: Columns that hold JSON.
_JSON = frozenset({
    "tags", "detail", "weights", "marks", "candidates", "roots", "provenance", "files",
})  # fmt: skip
#: What an entry's record has besides, under the names of columns or others.
_ENTRY = {
    **{name: name for name in ENTRY_COLUMNS},
    "project": "project_id",
    "commit": "commit_id",
    "provenance": "(SELECT json_object('by', said_by, 'how', how, 'actor', actor, 'client', "
    "client, 'client_version', client_version, 'session', session, 'task', task, 'role', role) "
    "FROM provenance WHERE provenance.id = provenance_id)",
}
_NAME = "(SELECT name FROM profiles WHERE profiles.id = profile_id)"

#: Of each section: its place, what its records hold (name and SQL), and where that is from.
Section = tuple[str, dict[str, str], str]
_OTHERS: dict[str, Section] = {
    "project": (
        # Those that are parts of others stand after these.
        f"iif(merged_into IS NULL, id, id + {1 << 40})",
        {
            "id": "id", "name": "name", "merged_into": "merged_into", "created_at": "created_at",
            "roots_at": "roots_at",
            "marks": "(SELECT json_group_array(json_array(mark, node)) FROM project_marks "
            "WHERE project_id = projects.id)",
            "candidates": "(SELECT json_group_array(mark) FROM project_candidates "
            "WHERE project_id = projects.id)",
            "roots": "(SELECT json_group_array(root) FROM project_roots "
            "WHERE project_id = projects.id)",
        },
        "projects WHERE TRUE",
    ),
    "link": (
        "id",
        {
            "from": "from_id", "to": "to_id", "kind": "kind", "created_at": "created_at",
            "ended_at": "ended_at", "by": "by", "valid_from": "valid_from",
            "valid_until": "valid_until",
        },
        "links WHERE TRUE",
    ),
    "reference": (
        "id",
        {
            "entry": "entry_id", "root": "root", "path": "path", "name": "name", "value": "value",
            "blob": "blob", "commit": "commit_id", "created_at": "created_at",
        },
        "code_references WHERE TRUE",
    ),
    "execution": (
        "entry_id",
        {"entry": "entry_id", **{name: name for name in EXECUTION_COLUMNS}},
        "executions WHERE TRUE",
    ),
    "supersession": (
        "id",
        {"entry": "id", "by": "superseded_by"},
        "entries WHERE superseded_by IS NOT NULL AND superseded_by <> id AND purged_at IS NULL",
    ),
    "source": (
        "id",
        {
            **{name: name for name in SOURCE_COLUMNS},
            "digest": "lower(hex(digest))",
            "project": "project_id",
        },
        "sources WHERE TRUE",
    ),
    "said": (
        "said.rowid_of",
        {
            "entry": "entry_id", "namespace": "namespace", "name": "name", "run": "said_run",
            "locator": "locator", "said_at": "said_at", "gone_at": "gone_at",
            "place": "place",
        },
        # By the source's number and the entry's in one number: there is no other place.
        ("(SELECT entry_id, source_id, s.run AS said_run, locator, said_at, gone_at, place, "
        "namespace, name, source_id * 4294967296 + entry_id AS rowid_of FROM entry_sources s "
        "JOIN sources ON sources.id = source_id) AS said WHERE TRUE"),
    ),
    "profile": (
        "id",
        {
            **{name: name for name in PROFILE_COLUMNS},
            "weights": "(SELECT json_group_object(weight, json_array(prior_alpha, prior_beta, "
            "alpha, beta)) FROM posteriors WHERE profile_id = profiles.id)",
        },
        "profiles WHERE TRUE",
    ),
    "binding": (
        "id",
        {
            "profile": _NAME, "actor": "actor", "namespace": "namespace",
            "consumer_kind": "consumer_kind", "priority": "priority", "created_at": "created_at",
        },
        "bindings WHERE TRUE",
    ),
    "target": (
        "profile_id * 4294967296 + entry_id",
        {"profile": _NAME, "entry": "entry_id", "alpha": "alpha", "beta": "beta",
         "events": "events"},
        "profile_targets WHERE TRUE",
    ),
    "mass": (
        "number",
        {"profile": _NAME, "entry": "entry_id", "source": "source", "mass": "mass", "at": "at"},
        ("(SELECT *, row_number() OVER (ORDER BY profile_id, entry_id, source) AS number "
        "FROM feedback_mass) WHERE TRUE"),
    ),
    "event": (
        "seq",
        {"seq": "seq", "profile": _NAME, "entry": "entry_id",
         **{name: name for name in EVENT_COLUMNS}},
        "profile_events WHERE TRUE",
    ),
}  # fmt: skip


#: Of the sections of an export by a filter, the columns that name entries.
_NAMING = {
    "supersession": ("id", "superseded_by"), "link": ("from_id", "to_id"),
    "reference": ("entry_id",), "execution": ("entry_id",),
}  # fmt: skip
_PROJECTS_OF = (
    " AND ifnull(merged_into, id) IN (SELECT ifnull(merged_into, id) FROM projects "
    "WHERE id IN (SELECT project_id FROM entries WHERE {}))"
)


def records(
    database: Database, section: str, after: int, limit: int, where: ExportFilter
) -> list[tuple[int, Record]]:
    """Return the next records of a section above a place, each with its place."""
    if section == "entry":
        return _entries(database, after, limit, where)
    place, columns, source = _OTHERS[section]
    among, bindings = _among(section, where)
    rows = database.rows(
        f"SELECT {place} AS place, {', '.join(columns.values())} FROM {source} {among} "
        "AND place > ? ORDER BY place LIMIT ?",
        [*bindings, after, limit],
    )
    return [(row[0], _record(section, columns, row[1:])) for row in rows]


def _among(section: str, where: ExportFilter) -> tuple[str, list[Value]]:
    """Return the condition that the entries which a record names are exported.

    A project names none: it is told with its family if an entry of it is.
    """
    columns = _NAMING.get(section, ())
    if where.listing is None or not (columns or section == "project"):
        return "", []
    sql, bindings = condition(where.listing)
    if section == "project":
        return _PROJECTS_OF.format(sql), bindings
    ids = f"(SELECT id FROM entries WHERE {sql})"
    return "".join(f" AND {name} IN {ids}" for name in columns), bindings * len(columns)


def _entries(
    database: Database, after: int, limit: int, where: ExportFilter
) -> list[tuple[int, Record]]:
    sql, bindings = ("purged_at IS NULL", list[Value]())
    if where.listing is not None:
        sql, bindings = condition(where.listing)
    rows = database.rows(
        f"SELECT {', '.join(_ENTRY.values())}, (SELECT data FROM vectors "
        "WHERE entry_id = entries.id AND model_id = ?) FROM entries "
        f"WHERE {sql} AND id > ? ORDER BY id LIMIT ?",
        [where.vectors_of, *bindings, after, limit],
    )
    found = []
    for *row, vector in rows:
        record = _record("entry", _ENTRY, tuple(row))
        if vector is not None:
            record |= {"model": where.vectors_of, "vector": base64.b64encode(vector).decode()}
        found.append((row[0], record))
    return found


def _record(section: str, names: Any, row: tuple[Any, ...]) -> Record:
    """Return a row as a record: what is null is left out, what is JSON is data."""
    values = {n: v for n, v in zip(names, row, strict=True) if v is not None}
    data = {n: json.loads(v) if n in _JSON else v for n, v in values.items()}
    return {"type": section, **data}
