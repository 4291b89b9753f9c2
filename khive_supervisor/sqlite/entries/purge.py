"""Removing entries for good: every table's rows of them, and their bytes in the file."""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from khive_supervisor.audit import actors
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.profiles.model import PURGED
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.shared import LOCAL
from khive_supervisor.sqlite.schema.texts import TEXTS, Holds
from khive_supervisor.store.entries import Purged
from khive_supervisor.store.model import Entry

#: Tables that name entries and keep their rows: what is left of the entry, and that it died.
_STAYING = ("entries", "fates")
#: What columns of the empty row hold that may be neither null nor an empty text.
_LEFT = {"tags": "'[]'", "kind": "'purged'", "namespace": "namespace"}
_AMONG = "entry_id IN (SELECT value FROM json_each(?))"
#: Bytes that a purge needs beside twice the size of the database.
_SPARE = 1 << 20
#: Characters of the shortest line of an entry that is looked for in journals.
_SHORTEST_LINE = 12


class Purging:
    """The part of `PurgeStore` that removes."""

    def __init__(
        self,
        database: Database,
        entries: EntryTable,
        clock: Callable[[], float],
        audit: AuditTable,
    ) -> None:
        self._database = database
        self._entries = entries
        self._clock = clock
        self._audit = audit

    def check_room(self) -> None:
        path = self._database.path
        found = os.statvfs(os.path.dirname(path))
        needed, free = 2 * os.path.getsize(path) + _SPARE, found.f_bavail * found.f_frsize
        if free < needed:
            raise StoreUnavailable(
                f"Removing something for good may need {needed} bytes beside {path}, and {free} "
                "are free. Nothing was done.",
                hint="Make room, and do it again.",
            )

    def purge(self, ids: Sequence[int]) -> Purged:
        with self._overwriting(), self._database.write():
            found = [
                one for one in self._entries.get(list(dict.fromkeys(ids))) if not one.purged_at
            ]
            given = json.dumps([one.id for one in found])
            sources, versions = self._sources(given), self._versions(given)
            self._entries.unindex([one.id for one in found if one.live])
            learned = self._forget_learned(given)
            vectors = self._count("vectors", given)
            journal = self._forget_journal(found) + self._forget_sessions(given)
            self._delete_references(given)
            self._empty(found, given)
            if found:
                self._entries.merge_words()
        return Purged(tuple(one.id for one in found), vectors, learned, sources, versions, journal)

    def forget_here(self, found: Sequence[Entry]) -> None:
        """Remove what only this machine has of entries that another one purges; in a transaction.

        They still say what they said.
        """
        given = json.dumps([one.id for one in found])
        self._forget_journal(found)
        self._forget_sessions(given)
        for table, column in self._references():
            if table in LOCAL:
                self._database.rows(
                    f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",
                    [given],
                )

    @contextmanager
    def _overwriting(self) -> Iterator[None]:
        """Pages that become free inside are overwritten, too."""
        self._database.rows("PRAGMA secure_delete = ON")
        try:
            yield
        finally:
            self._database.rows("PRAGMA secure_delete = FAST")

    def _count(self, table: str, given: str) -> int:
        return int(self._database.value(f"SELECT count(*) FROM {table} WHERE {_AMONG}", [given]))

    def _sources(self, given: str) -> tuple[str, ...]:
        rows = self._database.rows(
            f"SELECT DISTINCT name FROM entry_sources JOIN sources ON sources.id = source_id "
            f"WHERE {_AMONG} AND gone_at IS NULL AND name <> '' ORDER BY name",
            [given],
        )
        return tuple(name for (name,) in rows)

    def _versions(self, given: str) -> tuple[int, ...]:
        rows = self._database.rows(
            "SELECT id FROM entries WHERE superseded_by IN (SELECT value FROM json_each(?1)) "
            "AND id NOT IN (SELECT value FROM json_each(?1)) AND purged_at IS NULL ORDER BY id",
            [given],
        )
        return tuple(one for (one,) in rows)

    def _forget_journal(self, found: Sequence[Entry]) -> int:
        """Remove the events of sessions, and the candidates, that say what entries say."""
        lines = {line.strip() for one in found for line in one.content.splitlines()}
        given = json.dumps([line for line in lines if len(line) >= _SHORTEST_LINE])
        held = "EXISTS (SELECT 1 FROM json_each(?) WHERE instr(text, value))"
        return sum(
            self._database.changed(f"DELETE FROM {table} WHERE {held}", [given])
            for table in ("journal", "candidates")
        )

    def _forget_sessions(self, given: str) -> int:
        """Remove the events and candidates of the sessions that entries were captured from."""
        of = f"(client, session) IN (SELECT client, session FROM captured WHERE {_AMONG})"
        return sum(
            self._database.changed(f"DELETE FROM {table} WHERE {of}", [given])
            for table in ("journal", "candidates")
        )

    def _forget_learned(self, given: str) -> int:
        """Remove what profiles have learned of entries, with an event that says so to a replay."""
        learned = self._count("profile_targets", given)
        pairs = self._database.rows(
            f"SELECT profile_id, entry_id FROM profile_targets WHERE {_AMONG} UNION "
            f"SELECT profile_id, entry_id FROM feedback_mass WHERE {_AMONG}",
            [given, given],
        )
        for profile_id, entry_id in pairs:
            self._database.rows(
                "INSERT INTO profile_events (profile_id, at, kind, entry_id) VALUES (?, ?, ?, ?)",
                [profile_id, self._clock(), PURGED, entry_id],
            )
        self._database.rows(f"DELETE FROM feedback_mass WHERE {_AMONG}", [given])
        # How long a call took is a part of what was learned from it; all else is about the entry.
        only_time = "json_object('latency_us', detail -> 'latency_us')"
        self._database.rows(
            "UPDATE profile_events SET detail = CASE WHEN detail ->> 'latency_us' IS NULL "
            f"THEN '{{}}' ELSE {only_time} END WHERE {_AMONG}",
            [given],
        )
        return learned

    def _delete_references(self, given: str) -> None:
        """Delete the rows of every table that names the entries by a foreign key."""
        for table, column in self._references():
            self._database.rows(
                f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))", [given]
            )
        self._database.rows(
            "DELETE FROM sources WHERE name <> '' AND NOT EXISTS "
            "(SELECT 1 FROM entry_sources WHERE source_id = sources.id) AND digest IS NULL"
        )

    def _references(self) -> list[tuple[str, str]]:
        rows = self._database.rows(
            'SELECT tables.name, keys."from" FROM sqlite_schema AS tables, '
            "pragma_foreign_key_list(tables.name) AS keys "
            "WHERE tables.type = 'table' AND keys.\"table\" = 'entries'"
        )
        return [(table, column) for table, column in rows if table not in _STAYING]

    def discard(self, ids: Sequence[int]) -> None:
        """Remove entries whose time is over, in a transaction; who does it tells the audit chain.

        Their ids stay used. No byte of them is looked for elsewhere, as `purge` does.
        """
        given = json.dumps(list(ids))
        self._entries.unindex(ids)
        self._forget_learned(given)
        self._delete_references(given)
        self._empty_rows(given, self._clock())

    def _empty(self, found: Sequence[Entry], given: str) -> None:
        """Leave nothing in the entries' own rows but that they were there."""
        now = self._clock()
        self._empty_rows(given, now)
        for one in found:
            self._audit.append(now, "memory.purged", f"entry/{one.collection[0]}{one.id}", {})
        if found:
            self._audit.append(now, "store.purged", actors.STORE, {"entries": len(found)})

    def _empty_rows(self, given: str, now: float) -> None:
        self._database.rows(
            f"UPDATE entries SET {', '.join(self._emptied())}, content_hash = randomblob(16), "
            "digest_key = NULL, salience = 0, decay = 0, superseded_by = NULL, deleted_at = ?1, "
            "updated_at = ?1, purged_at = ?1 WHERE id IN (SELECT value FROM json_each(?2))",
            [now, given],
        )

    def _emptied(self) -> list[str]:
        """Return what each column of anybody's text is set to."""
        kept = {n for n, holds in TEXTS["entries"].items() if holds is not Holds.OURS}
        columns = self._database.rows("SELECT name, \"notnull\" FROM pragma_table_info('entries')")
        return [
            f"{name} = {_LEFT.get(name, chr(39) * 2 if required else 'NULL')}"
            for name, required in columns
            if name in kept
        ]

    def take_place(self, old_id: int, new_id: int) -> None:
        with self._database.write():
            self._database.rows(
                "UPDATE OR REPLACE entry_sources SET entry_id = ? WHERE entry_id = ?",
                [new_id, old_id],
            )

    def compact(self) -> None:
        self._database.rows("VACUUM")
