"""Records of another store as rows of this one: what is here already stays as it is."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.graph import ontology
from khive_supervisor.graph.ontology import SUPERSEDES
from khive_supervisor.sqlite.curation.exporting import (
    EXECUTION_COLUMNS,
    SOURCE_COLUMNS,
    records,
)
from khive_supervisor.sqlite.curation.origins import Origins
from khive_supervisor.sqlite.curation.taken_profiles import NO_ENTRY, takes_of_profiles
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.vectors.table import VectorTable
from khive_supervisor.store.curation import (
    KNOWN,
    LEFT_OUT,
    STORED,
    Exchange,
    ExportFilter,
    Imported,
    Record,
)
from khive_supervisor.store.model import NewEntry

#: What is said of a record whose project did not come.
_NO_PROJECT = Imported(LEFT_OUT, why="its project was not imported")
#: Columns that an entry keeps as they are.
_KEPT = ("updated_at", "pinned_at", "valid_from", "valid_until")
#: What a link has beside its ends and its kind.
_OF_LINKS = ("created_at", "by", "valid_from", "valid_until")
#: A file that says more would use up the numbers.
_LARGEST_ID = 1_000_000_000


class ExchangeTable(Exchange):
    """`Exchange` on SQLite."""

    def __init__(
        self,
        database: Database,
        entries: EntryTable,
        vectors: VectorTable,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._entries = entries
        self._vectors = vectors
        self._clock = clock
        self._origins = Origins(database)
        #: The number that was given last in the transaction at work.
        self._last: int | None = None
        self._takes: dict[str, Callable[[str, Record], Imported]] = {
            "project": self._project, "link": self._link, "reference": self._reference,
            "supersession": self._supersession, "source": self._source, "said": self._said,
            "execution": self._execution,
            **takes_of_profiles(database, self._origins),
        }  # fmt: skip

    def records(
        self, section: str, after: int, limit: int, where: ExportFilter
    ) -> list[tuple[int, Record]]:
        return records(self._database, section, after, limit, where)

    def take(
        self,
        store: str,
        records: Sequence[Record],
        entries: Mapping[int, NewEntry],
        *,
        anywhere: bool = True,
    ) -> list[Imported]:
        numbers = [records[place].get("id") for place in entries]
        origins = self._origins.noted(store, filter(None, numbers))
        roomy = self._database.roomy()
        with roomy, self._database.write(), self._entries.provenance_table.remembered(), origins:
            self._last = None
            return [
                self._entry(store, record, entries[place], anywhere)
                if place in entries
                else self._takes[record["type"]](store, record)
                for place, record in enumerate(records)
            ]

    # --- entries --------------------------------------------------------------------------------

    def _entry(self, store: str, record: Record, entry: NewEntry, anywhere: bool) -> Imported:
        if anywhere and "project" in record:
            project = self._origins.project(store, record["project"])
            if project is None:
                return _NO_PROJECT
            entry = replace(entry, project=project)
        origin = record.get("id")
        found = None if origin is None else self._origins.entry_here(store, origin)
        outcome = KNOWN
        if found is None:
            found, outcome = self._matched(record, entry)
            if origin is not None:
                self._origins.came_entry(origin, found)
        if "vector" in record:
            data = base64.b64decode(record["vector"])
            self._vectors.put(record["model"], [(found, data)])
        return Imported(outcome, found)

    def _matched(self, record: Record, entry: NewEntry) -> tuple[int, str]:
        """Return the entry that says the same and has the same fate; stored now if there is none.

        A live one that says the same as one that was forgotten here brings that back.
        """
        hashed = entry.content_hash
        if "deleted_at" in record or "superseded_by" in record:
            if found := self._same_dead(entry, hashed):
                return found, KNOWN
            return self._insert_dead(record, entry, hashed), STORED
        found, live = self._entries.live_or_deleted(hashed)
        if found is None:
            return self._insert(record, entry, hashed), STORED
        if live:
            self._entries.annotate(found, entry.tags)
            return found, KNOWN
        self._entries.revive(found)
        return found, STORED

    def _same_dead(self, entry: NewEntry, hashed: bytes) -> int | None:
        found: int | None = self._database.value(
            "SELECT id FROM entries WHERE content_hash = ?1 AND created_at = ?2 "
            "AND deleted_at IS NOT NULL AND superseded_by IS NULL UNION ALL "
            "SELECT id FROM entries WHERE content_hash = ?1 AND created_at = ?2 "
            "AND superseded_by IS NOT NULL",
            [hashed, entry.created_at],
        )
        return found

    def _insert(
        self, record: Record, entry: NewEntry, hashed: bytes, *, live: bool = True, **kept: Value
    ) -> int:
        """Store a new entry with the dates of its record, under its number if that is free here."""
        self._go_on_with(record.get("id", 0))
        kept |= {one: record[one] for one in _KEPT if one in record}
        self._last = self._entries.insert(entry, live=live, content_hash=hashed, **kept)
        return self._last

    def _insert_dead(self, record: Record, entry: NewEntry, hashed: bytes) -> int:
        """Store an entry that was forgotten, or that waits for its successor by naming itself."""
        if "superseded_by" not in record:
            gone = {"deleted_at": record["deleted_at"]}
            return self._insert(record, entry, hashed, live=False, **gone)
        number = self._insert(record, entry, hashed, live=False)
        deleted = record.get("deleted_at")
        self._database.update("entries", number, deleted_at=deleted, superseded_by=number)
        return number

    def _go_on_with(self, wanted: int) -> None:
        """Have the next entry get a number, if none so high was ever given here."""
        if self._last is not None and wanted == self._last + 1:
            return
        sql = "SELECT seq FROM sqlite_sequence WHERE name = 'entries'"
        last = self._database.value(sql)
        if not (last or 0) < wanted <= _LARGEST_ID:
            return
        if last is None:
            self._database.insert("sqlite_sequence", name="entries", seq=wanted - 1)
        else:
            self._database.rows(
                "UPDATE sqlite_sequence SET seq = ? WHERE name = 'entries'", [wanted - 1]
            )

    def _execution(self, store: str, record: Record) -> Imported:
        """Take what is known of an attempt; its task is in the store that it comes from."""
        entry = self._origins.entry(store, record)
        if entry is None:
            return NO_ENTRY
        sql = "SELECT entry_id FROM executions WHERE entry_id = ?"
        if self._database.value(sql, [entry]) is not None:
            return Imported(KNOWN, entry)
        values: dict[str, Value] = {name: record.get(name) for name in EXECUTION_COLUMNS}
        values["files"] = json.dumps(self._database.gate.written_data(record["files"]))
        self._database.insert("executions", entry_id=entry, **values)
        return Imported(STORED, entry)

    def _supersession(self, store: str, record: Record) -> Imported:
        """Let a superseded entry name its successor, which may have come after it."""
        old, new = (
            self._origins.entry(store, record),
            self._origins.here(store, "entry", record["by"]),
        )
        if old is None or new is None:
            return NO_ENTRY
        changed = self._database.changed(
            "UPDATE entries SET superseded_by = ? WHERE id = ? AND superseded_by = id AND id <> ?1",
            [new, old],
        )
        return Imported(STORED if changed else KNOWN, old)

    def _link(self, store: str, record: Record) -> Imported:
        """Link entries as they were; a supersession has made its link already, without its date."""
        from_id, to_id = (
            self._origins.here(store, "entry", record[name]) for name in ("from", "to")
        )
        if from_id is None or to_id is None:
            return NO_ENTRY
        kind, ended = record["kind"], record.get("ended_at")
        sql = "SELECT id FROM links WHERE from_id = ? AND to_id = ? AND kind = ? AND "
        same = "ended_at IS NULL" if ended is None else "created_at = ?"
        dated = [] if ended is None else [record["created_at"]]
        found = self._database.value(sql + same, [from_id, to_id, kind, *dated])
        values: dict[str, Value] = {name: record.get(name) for name in _OF_LINKS}
        if found is not None:
            if kind == SUPERSEDES:
                self._database.update("links", found, **values)
            return Imported(KNOWN, found)
        if why := self._unlinkable(kind, from_id, to_id):
            return Imported(LEFT_OUT, why=why)
        number = self._database.insert(
            "links", from_id=from_id, to_id=to_id, kind=kind, ended_at=ended, **values
        )
        return Imported(STORED, number)

    def _unlinkable(self, kind: str, from_id: int, to_id: int) -> str:
        """Return why two entries cannot be linked so; empty if they can."""
        collections = {one.id: one.collection for one in self._entries.get([from_id, to_id])}
        try:
            ontology.check(ontology.kind_of(kind), collections[from_id], collections[to_id])
        except InvalidInput as error:
            return error.message
        return ""

    def _reference(self, store: str, record: Record) -> Imported:
        entry = self._origins.entry(store, record)
        if entry is None:
            return NO_ENTRY
        names = ("root", "path", "name", "value", "blob", "created_at")
        values: dict[str, Value] = {name: record.get(name) for name in names}
        values |= {"entry_id": entry, "commit_id": record.get("commit")}
        same = " AND ".join(f"{name} IS ?" for name in values)
        sql = f"SELECT id FROM code_references WHERE {same}"
        found = self._database.value(sql, [*values.values()])
        if found is not None:
            return Imported(KNOWN, found)
        return Imported(STORED, self._database.insert("code_references", **values))

    # --- projects -------------------------------------------------------------------------------

    def _project(self, store: str, record: Record) -> Imported:
        """Take a project, unless a directory here is marked as one of it already."""
        known = self._origins.here(store, "project", record["id"])
        if known is not None:
            return Imported(KNOWN, known)
        found = self._marked(record["marks"])
        outcome = STORED if found is None else KNOWN
        if found is None:
            found = self._database.insert(
                "projects", name=record["name"], created_at=record["created_at"],
                roots_at=record.get("roots_at"), **self._free_number(record["id"]),
            )  # fmt: skip
            self._put_marks(found, record)
        self._origins.came(store, "project", record["id"], found)
        merged = record.get("merged_into")
        whole = None if merged is None else self._origins.here(store, "project", merged)
        if whole not in (None, found) and outcome == STORED:
            self._database.update("projects", found, merged_into=whole)
        return Imported(outcome, found)

    def _free_number(self, number: int) -> dict[str, Value]:
        """Return the number of a project as its column, unless another one has it here."""
        taken = self._database.value("SELECT 1 FROM projects WHERE id = ?", [number])
        return {} if taken or number > _LARGEST_ID else {"id": number}

    def _marked(self, marks: Sequence[Sequence[str]]) -> int | None:
        for mark, node in marks:
            sql = "SELECT project_id FROM project_marks WHERE mark = ? AND node = ?"
            if (found := self._database.value(sql, [mark, node])) is not None:
                return int(found)
        return None

    def _put_marks(self, project: int, record: Record) -> None:
        rows: list[tuple[str, list[Value]]] = [
            *(("project_marks (mark, node, project_id)", pair) for pair in record["marks"]),
            *(("project_candidates (mark, project_id)", [one]) for one in record["candidates"]),
            *(("project_roots (root, project_id)", [one]) for one in record["roots"]),
        ]
        for table, values in rows:
            places = ", ".join("?" * (len(values) + 1))
            self._database.rows(
                f"INSERT OR IGNORE INTO {table} VALUES ({places})", [*values, project]
            )

    # --- sources --------------------------------------------------------------------------------

    def _source(self, store: str, record: Record) -> Imported:
        name = [record["namespace"], record["name"]]
        sql = "SELECT id FROM sources WHERE namespace = ? AND name = ?"
        found = self._database.value(sql, name)
        outcome = STORED if found is None else KNOWN
        if found is None:
            values: dict[str, Value] = {one: record.get(one) for one in SOURCE_COLUMNS}
            digest = record.get("digest")
            project = record.get("project")
            if project is not None:
                values["project_id"] = self._origins.here(store, "project", project)
            values["digest"] = None if not digest else bytes.fromhex(digest)
            found = self._database.insert("sources", **values)
        self._origins.came(store, "source", "\n".join(map(str, name)), found)
        return Imported(outcome, found)

    def _said(self, store: str, record: Record) -> Imported:
        entry = self._origins.entry(store, record)
        source = self._origins.here(store, "source", f"{record['namespace']}\n{record['name']}")
        if entry is None or source is None:
            return NO_ENTRY
        changed = self._database.changed(
            "INSERT OR IGNORE INTO entry_sources (entry_id, source_id, run, locator, said_at, "
            "gone_at, place) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [entry, source, record["run"], record["locator"], record["said_at"],
             record.get("gone_at"), record.get("place", 0)],
        )  # fmt: skip
        return Imported(STORED if changed else KNOWN, entry)
