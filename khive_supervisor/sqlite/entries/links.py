"""The tables of links between entries, and of the code that they are about."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.graph import ontology
from khive_supervisor.graph.ontology import ABOUT, LinkKind
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.conditions import Condition, passing
from khive_supervisor.store.links import (
    KINDS,
    Along,
    CodeReference,
    EntryLink,
    LinkStore,
    ReferenceStore,
)
from khive_supervisor.store.model import EntryFilter

_COLUMNS = "id, from_id, to_id, kind, created_at, ended_at, by, valid_from, valid_until"
_OF_THESE = f"""
    SELECT {_COLUMNS} FROM links WHERE id IN (
        SELECT id FROM links WHERE from_id IN (SELECT value FROM json_each(?1))
        UNION SELECT id FROM links WHERE to_id IN (SELECT value FROM json_each(?1)))
"""
#: Entries that a look for a circle goes through at most.
_MOST_REACHED = 100_000
#: Where links of a kind lead from entries; `?3` are the namespaces that count, null: all.
_LEADING = """
    SELECT DISTINCT to_id FROM links WHERE from_id IN (SELECT value FROM json_each(?1))
    AND kind = ?2 AND ended_at IS NULL AND (?3 IS NULL OR to_id IN (
        SELECT id FROM entries WHERE namespace IN (SELECT value FROM json_each(?3))))
"""


class LinkTable(LinkStore):
    """`LinkStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def add(
        self,
        from_id: int,
        to_id: int,
        kind: str,
        by: str = "",
        *,
        valid_from: float | None = None,
        valid_until: float | None = None,
        seen: Collection[str] | None = None,
    ) -> bool:
        declared = _linkable(from_id, to_id, kind)
        valid = (valid_from, valid_until)
        with self._database.write():
            names = self._check_ends(declared, from_id, to_id)
            if found := self._standing(declared, from_id, to_id):
                if valid in ((None, None), found[1:]):
                    return False
                self._end(found[0], kind, names)
            elif declared.acyclic:
                self._check_circle(declared, from_id, to_id, seen)
            self._database.insert(
                "links", from_id=from_id, to_id=to_id, kind=kind, created_at=self._clock(), by=by,
                valid_from=valid_from, valid_until=valid_until,
            )  # fmt: skip
            self._tell("added", kind, names)
        return True

    def _check_ends(self, kind: LinkKind, from_id: int, to_id: int) -> tuple[str, str]:
        """Refuse ends that are not there, or not for this kind; return what they are called."""
        ids = (from_id, to_id)
        rows = self._database.rows(
            "SELECT id, collection FROM entries WHERE id IN (?, ?) AND purged_at IS NULL", ids
        )
        found = dict(rows)
        for one in ids:
            if one not in found:
                raise NotFound(f"There is no entry {one} that could be linked.")
        ontology.check(kind, found[from_id], found[to_id])
        start, end = (f"{found[one][0]}{one}" for one in ids)
        return start, end

    def _standing(
        self, kind: LinkKind, from_id: int, to_id: int
    ) -> tuple[int, float | None, float | None] | None:
        """Return the number of the link that stands between two, and when it holds."""
        rows = self._database.rows(
            "SELECT id, valid_from, valid_until FROM links WHERE kind = ?3 AND ended_at IS NULL "
            "AND ((from_id = ?1 AND to_id = ?2) OR (?4 AND from_id = ?2 AND to_id = ?1))",
            [from_id, to_id, kind.name, kind.symmetric],
        )
        return rows[0] if rows else None

    def _check_circle(
        self, kind: LinkKind, from_id: int, to_id: int, seen: Collection[str] | None
    ) -> None:
        # What nothing leads to cannot be reached: so it is with most of what is linked.
        if not self._database.rows(
            "SELECT 1 FROM links WHERE to_id = ? AND kind = ? AND ended_at IS NULL LIMIT 1",
            [from_id, kind.name],
        ):
            return
        among = None if seen is None else json.dumps(sorted(seen))
        reached = self._reached(to_id, kind.name, among, until=from_id)
        if from_id in reached or len(reached) >= _MOST_REACHED:
            circle = "leads back already" if from_id in reached else "leads too far to be sure"
            raise InvalidInput(
                f"{kind.name} has no circles, and from {to_id} to {from_id} it {circle}.",
                hint="Look at the path between the two, and unlink what is wrong there.",
            )

    def _reached(self, start: int, kind: str, among: str | None, until: int) -> set[int]:
        """Return what links of a kind lead to from an entry, up to one that is looked for."""
        reached, edge = {start}, [start]
        while edge and until not in reached and len(reached) < _MOST_REACHED:
            rows = self._database.rows(_LEADING, [json.dumps(edge), kind, among])
            edge = [one for (one,) in rows if one not in reached]
            reached.update(edge)
        return reached

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        with self._database.write():
            found = self._standing(ontology.kind_of(kind), from_id, to_id)
            if found is None:
                return False
            letters = dict(
                self._database.rows(
                    "SELECT id, substr(collection, 1, 1) FROM entries WHERE id IN (?, ?)",
                    [from_id, to_id],
                )
            )
            names = (f"{letters[from_id]}{from_id}", f"{letters[to_id]}{to_id}")
            self._end(found[0], kind, names)
        return True

    def _end(self, link: int, kind: str, names: tuple[str, str]) -> None:
        self._database.update("links", link, ended_at=self._clock())
        self._tell("ended", kind, names)

    def _tell(self, what: str, kind: str, names: tuple[str, str]) -> None:
        """Tell the audit chain of a link; part of the transaction."""
        detail = {"kind": kind, "to": names[1]}
        self._audit.append(self._clock(), f"link.{what}", f"entry/{names[0]}", detail)

    def of(self, ids: Iterable[int], kinds: Iterable[str] = KINDS) -> list[EntryLink]:
        rows = self._database.rows(
            f"{_OF_THESE} AND ended_at IS NULL AND kind IN (SELECT value FROM json_each(?2)) "
            "ORDER BY id",
            [json.dumps(list(ids)), json.dumps(list(kinds))],
        )
        return [EntryLink(*row) for row in rows]

    def history(self, ids: Iterable[int]) -> list[EntryLink]:
        rows = self._database.rows(f"{_OF_THESE} ORDER BY id", [json.dumps(list(ids))])
        return [EntryLink(*row) for row in rows]

    def along(
        self, ids: Iterable[int], which: Along, limit: int, besides: Iterable[int] = ()
    ) -> list[EntryLink]:
        edge, left_out = json.dumps(list(ids)), json.dumps(list(besides))
        parts = [
            _ends(near, far, kinds, which, (edge, left_out))
            for near, far, kinds in (
                ("from_id", "to_id", which.leaving),
                ("to_id", "from_id", which.entering),
            )
        ]
        sql = " UNION ".join(part for part, _ in parts)
        bindings = [value for _, values in parts for value in values]
        rows = self._database.rows(f"{sql} ORDER BY id LIMIT ?", [*bindings, limit])
        return [EntryLink(*row) for row in rows]


def _ends(
    near: str, far: str, kinds: Sequence[str], which: Along, given: tuple[str, str]
) -> Condition:
    """Return the statement for links from one of their ends: `given` are the edge, and the rest."""
    links, when = _standing_at(which)
    entries, holds = _there_at(which)
    passes, values = passing(which.where, many=False)
    sql = (
        f"SELECT {_COLUMNS} FROM links WHERE {near} IN ({_own(which.where)}) "
        f"AND {far} NOT IN (SELECT value FROM json_each(?)) "
        f"AND kind IN (SELECT value FROM json_each(?)){links} "
        f"AND EXISTS (SELECT 1 FROM entries WHERE entries.id = {far} AND {entries}{passes})"
    )
    edge, besides = given
    own = which.where.namespaces or ()
    return sql, [edge, *own, besides, json.dumps(kinds), *when, *holds, *values]


def _own(where: EntryFilter) -> str:
    """Return the statement for those of a list of ids that are in the namespaces of a filter."""
    if where.namespaces is None:
        return "SELECT value FROM json_each(?)"
    return (
        "SELECT value FROM json_each(?) WHERE value IN (SELECT id FROM entries "
        f"WHERE +namespace IN ({', '.join('?' * len(where.namespaces))}))"
    )


def _standing_at(which: Along) -> Condition:
    """Return the condition on links by time, with its leading AND."""
    if which.at is None:
        return "", []
    sql = " AND ifnull(valid_from <= ?, TRUE) AND ifnull(valid_until > ?, TRUE)"
    if not which.past:
        return f"{sql} AND ended_at IS NULL", [which.at] * 2
    return f"{sql} AND created_at <= ? AND ifnull(ended_at > ?, TRUE)", [which.at] * 4


def _there_at(which: Along) -> Condition:
    """Return the condition on entries by time: those that were there, superseded ones too."""
    if which.at is None or not which.past:
        return "purged_at IS NULL AND deleted_at IS NULL", []
    sql = "purged_at IS NULL AND created_at <= ? AND ifnull(deleted_at > ?, TRUE)"
    return sql, [which.at] * 2


def _linkable(from_id: int, to_id: int, kind: str) -> LinkKind:
    """Return what a kind is, if anybody but the store may link by it, and these two."""
    declared = ontology.kind_of(kind)
    if declared.by_superseding:
        raise InvalidInput(
            f"A link {kind} is made by superseding {to_id}, and not by itself.",
            hint="memory.supersede, or memory.remember with supersedes, does that.",
        )
    if from_id == to_id:
        raise InvalidInput(
            f"An entry is not linked with itself, and {from_id} is both ends.",
            hint="Name two entries.",
        )
    return declared


class ReferenceTable(ReferenceStore):
    """`ReferenceStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        with self._database.write():
            subject = self._subject(entry_id)
            if not subject:
                raise NotFound(f"There is no entry {entry_id} that could be about code.")
            for one in references:
                self._tell("added", subject, one.path, one.name)
                self._database.rows(
                    "DELETE FROM code_references WHERE entry_id = ? AND path = ? AND name IS ?",
                    [entry_id, one.path, one.name],
                )
                self._database.insert(
                    "code_references", entry_id=entry_id, root=one.root, path=one.path,
                    name=one.name, value=one.value, blob=one.blob, commit_id=one.commit_id,
                    created_at=self._clock(),
                )  # fmt: skip

    def remove(self, entry_id: int, path: str, name: str | None) -> bool:
        with self._database.write():
            removed = self._database.changed(
                "DELETE FROM code_references WHERE entry_id = ? AND path = ? AND name IS ?",
                [entry_id, path, name],
            )
            if removed:
                self._tell("ended", self._subject(entry_id), path, name)
        return bool(removed)

    def _subject(self, entry_id: int) -> str:
        """Return what the audit chain calls an entry; empty if there is none."""
        sql = "SELECT 'entry/' || substr(collection, 1, 1) || id FROM entries WHERE id = ?"
        return str(self._database.value(sql, [entry_id]) or "")

    def _tell(self, what: str, subject: str, path: str, name: str | None) -> None:
        """Tell the audit chain of what an entry is about; part of the transaction."""
        detail = {"kind": ABOUT, "to": f"{path}::{name}" if name else path}
        self._audit.append(self._clock(), f"link.{what}", subject, detail)

    def of(self, ids: Iterable[int]) -> Mapping[int, Sequence[CodeReference]]:
        rows = self._database.rows(
            "SELECT entry_id, root, path, name, value, blob, commit_id FROM code_references "
            "WHERE entry_id IN (SELECT value FROM json_each(?)) ORDER BY id",
            [json.dumps(list(ids))],
        )
        found: dict[int, list[CodeReference]] = {}
        for entry_id, *values in rows:
            found.setdefault(entry_id, []).append(CodeReference(*values))
        return found
