"""The entries' table, and its full-text rows: always written together."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from khive_supervisor.audit.chain import keyed_digest
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.entries.conditions import live, scope_text
from khive_supervisor.sqlite.entries.provenance import ProvenanceTable
from khive_supervisor.sqlite.entries.rows import COLUMNS, as_new, check, entry_of
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.sqlite.vectors.table import VectorTable
from khive_supervisor.store.entries import EntryStore, all_gated
from khive_supervisor.store.model import EVERYTHING, Added, Entry, EntryFilter, NewEntry, Provenance
from khive_supervisor.text.analysis import index_text

#: The ids of a JSON list, as a table.
_GIVEN = "SELECT value FROM json_each(?)"

_encode = json.JSONEncoder(ensure_ascii=False).encode

#: Bytes of the key of an entry's digest in the audit chain.
_KEY_BYTES = 16
#: Tags of one entry.
TAGS_LIMIT = 32


class EntryTable(EntryStore):
    """`EntryStore` on SQLite."""

    def __init__(
        self,
        database: Database,
        vectors: VectorTable,
        clock: Callable[[], float],
        audit: AuditTable,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self.provenance_table = ProvenanceTable(database)
        self._clock = clock
        self._audit = audit

    def add(
        self,
        entries: Sequence[NewEntry],
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> list[Added]:
        kept, given = self.admitted(entries, vectors)
        with self._database.write():
            added = [self._add_one(entry) for entry in kept]
            pairs = [(one.id, data) for one, data in zip(added, given, strict=True) if data]
            if pairs:
                self._vectors.add(_named(model_id), pairs)
        return added

    def admitted(
        self, entries: Sequence[NewEntry], vectors: Sequence[bytes | None] | None
    ) -> tuple[list[NewEntry], list[bytes | None]]:
        """Return entries as they may be kept; one that had to change loses its vector."""
        given = [None] * len(entries) if vectors is None else list(vectors)
        if len(given) != len(entries):
            raise InvalidInput(f"{len(entries)} entries were given with {len(given)} vectors.")
        for entry in entries:
            check(entry)
        kept = all_gated(self._database.gate, entries)
        pairs = zip(entries, kept, given, strict=True)
        return kept, [data if was is now else None for was, now, data in pairs]

    def _add_one(self, entry: NewEntry) -> Added:
        own = entry.content_hash
        hashes, wider = (own, *entry.former_hashes), entry.wider_hashes
        # What is said for the user as a whole is said in each project.
        known = self._of_hashes((*hashes, *wider))
        live = (known.get((one, True)) for one in (*hashes, *wider))
        if (found := next(filter(None, live), None)) is not None:
            return Added(found, created=False, restored=False)
        deleted = (known.get((one, False)) for one in hashes)
        if (found := next(filter(None, deleted), None)) is not None:
            self.revive(found)
            return Added(found, created=False, restored=True)
        return Added(self.insert(entry, content_hash=own), created=True, restored=False)

    def _of_hashes(self, hashes: Sequence[bytes]) -> dict[tuple[bytes, bool], int]:
        """Return by hash `live_id`, with True, and `deleted_id`, with False, where there is one."""
        places = ", ".join("?" * len(hashes))
        rows = self._database.rows(
            f"SELECT content_hash, TRUE, id FROM entries WHERE content_hash IN ({places}) "
            f"AND {LIVE} UNION ALL SELECT content_hash, FALSE, max(id) FROM entries "
            f"WHERE content_hash IN ({places}) AND deleted_at IS NOT NULL "
            "AND superseded_by IS NULL GROUP BY content_hash",
            [*hashes, *hashes],
        )
        return {(hashed, bool(live)): id_ for hashed, live, id_ in rows}

    def live_id(self, content_hash: bytes) -> int | None:
        """Return the live entry that says this."""
        found: int | None = self._database.value(
            f"SELECT id FROM entries WHERE content_hash = ? AND {LIVE}", [content_hash]
        )
        return found

    def deleted_id(self, content_hash: bytes) -> int | None:
        """Return the entry that said this and was deleted last."""
        found: int | None = self._database.value(
            "SELECT id FROM entries WHERE content_hash = ? AND deleted_at IS NOT NULL "
            "AND superseded_by IS NULL ORDER BY id DESC LIMIT 1",
            [content_hash],
        )
        return found

    def live_or_deleted(self, content_hash: bytes) -> tuple[int | None, bool]:
        """Return `live_id`, else `deleted_id`, and whether it lives; None and False for neither."""
        rows = self._database.rows(
            f"SELECT id, TRUE FROM entries WHERE content_hash = ?1 AND {LIVE} UNION ALL "
            "SELECT max(id), FALSE FROM entries WHERE content_hash = ?1 "
            "AND deleted_at IS NOT NULL AND superseded_by IS NULL",
            [content_hash],
        )
        return rows[0][0], bool(rows[0][1])

    def insert(
        self,
        entry: NewEntry,
        *,
        live: bool = True,
        content_hash: bytes | None = None,
        **kept: Value,
    ) -> int:
        """Store a new entry, in a transaction; one that is not live waits for being revived.

        `content_hash` is the entry's, if it is known; `kept` are other columns, or other values.
        """
        now = self._clock()
        hashed = content_hash or entry.content_hash
        created = now if entry.created_at is None else entry.created_at
        key = os.urandom(_KEY_BYTES)
        row: dict[str, Value] = {
            "collection": entry.collection, "namespace": entry.namespace, "kind": entry.kind,
            "title": entry.title, "content": entry.content, "tags": self._tags(entry.tags),
            "salience": entry.salience, "decay": entry.decay, "source": entry.source,
            "content_hash": hashed, "created_at": created, "updated_at": now,
            "deleted_at": None if live else now, "digest_key": key,
            "project_id": entry.project, "branch": entry.branch, "commit_id": entry.commit,
            "provenance_id": self.provenance_table.number_of(entry.provenance),
            "valid_from": entry.valid_from, "valid_until": entry.valid_until,
        }  # fmt: skip
        added = self._database.insert("entries", **{**row, **kept})
        if live:
            self._index(added, entry)
        if entry.collection == "memory":
            # JSON as it is: a digest is no text, and would be searched for secrets.
            self._tell(added, "remembered", f'{{"digest":"{keyed_digest(key, hashed)}"}}')
        return added

    def _tags(self, tags: Sequence[str]) -> str:
        """Return tags that have passed the gate as they are stored."""
        return self._database.gate.passed(_encode(tags))

    def _tell(self, entry_id: int, what: str, detail: Mapping[str, Any] | str) -> None:
        """Tell the audit chain what happened to a memory; part of the transaction."""
        self._audit.append(self._clock(), f"memory.{what}", f"entry/m{entry_id}", detail)

    def annotate(
        self,
        entry_id: int,
        tags: Sequence[str],
        kind: str | None = None,
        salience: float | None = None,
    ) -> bool:
        with self._database.write():
            (entry,) = self.get([entry_id])
            return self._annotate(entry, tags, kind, salience)

    def _annotate(
        self, entry: Entry, tags: Sequence[str], kind: str | None, salience: float | None
    ) -> bool:
        tags = [self._database.gate.said(tag, "a tag") for tag in tags]
        merged = tuple(dict.fromkeys([*entry.tags, *tags]))[: max(TAGS_LIMIT, len(entry.tags))]
        matters = entry.salience if salience is None else salience
        same = (merged, kind or entry.kind, matters)
        if same == (entry.tags, entry.kind, entry.salience):
            return False
        # Naming deleted_at has the trigger count it: copies of the words elsewhere are old now.
        self._database.update(
            "entries", entry.id,
            tags=self._tags(merged), kind=kind or entry.kind,
            salience=matters, updated_at=self._clock(), deleted_at=entry.deleted_at,
        )  # fmt: skip
        self.unindex([entry.id])
        self._index(entry.id, as_new(self.get([entry.id])[0]))
        return True

    def _index(self, entry_id: int, entry: NewEntry) -> None:
        self._database.later(lambda: self._index_now(entry_id, entry))

    def _index_now(self, entry_id: int, entry: NewEntry) -> None:
        derived = self._database.gate.derived
        self._database.insert(
            "entries_fts", rowid=entry_id, scope=scope_text(entry),
            title=derived(index_text(entry.title), entry.title),
            content=derived(index_text(entry.content), entry.content),
            tags=index_text(" ".join(entry.tags)),
        )  # fmt: skip

    def revive(self, entry_id: int) -> None:
        """Let a deleted entry live again, in a transaction."""
        self._database.update("entries", entry_id, deleted_at=None, updated_at=self._clock())
        self._index(entry_id, as_new(self.get([entry_id])[0]))
        # The generation in use may have been built without it: its vectors become new ones.
        self._vectors.renumber(entry_id)

    def reindex(self, entry_id: int) -> None:
        """Write the words of an entry anew if it lives, in a transaction; none if it does not."""
        self.unindex([entry_id])
        (entry,) = self.get([entry_id])
        if entry.live:
            self._index(entry_id, as_new(entry))
            self._vectors.renumber(entry_id)

    def follow(self, ids: Sequence[int]) -> None:
        """Have the words of entries be what their rows say, after somebody else changed these."""
        self.unindex(ids)
        for entry in self.get(ids):
            if entry.live:
                self._index(entry.id, as_new(entry))

    def merge_words(self) -> None:
        """Take the words of what is gone out of full text: only a merge of all its parts does."""
        self._database.rows("INSERT INTO entries_fts (entries_fts) VALUES ('optimize')")

    def known(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        wanted = json.dumps([one.hex() for one in hashes])
        return dict(
            self._database.rows(
                f"SELECT content_hash, id FROM entries WHERE content_hash IN "
                f"(SELECT unhex(value) FROM json_each(?)) AND {LIVE}",
                [wanted],
            )
        )

    def get(self, ids: Sequence[int]) -> list[Entry]:
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM entries WHERE id IN ({_GIVEN})", [json.dumps(list(ids))]
        )
        found = {row[0]: row for row in rows}
        return [entry_of(found[one]) for one in ids if one in found]

    def highest_id(self) -> int:
        return int(self._database.value("SELECT ifnull(max(id), 0) FROM entries"))

    def forget(self, ids: Sequence[int], why: str = "") -> list[int]:
        with self._database.write():
            gone = self._live_among(ids)
            self._database.rows(
                "UPDATE entries SET deleted_at = ?1, updated_at = ?1 WHERE id IN "
                "(SELECT value FROM json_each(?2))",
                [self._clock(), json.dumps(gone)],
            )
            self.unindex(gone)
            self.tell_of_memories(gone, "forgotten", {"why": why} if why else {})
        return gone

    def tell_of_memories(self, ids: Sequence[int], what: str, detail: Mapping[str, Any]) -> None:
        """Tell the audit chain what happened to those of some entries that are memories."""
        memories = f"SELECT id FROM entries WHERE id IN ({_GIVEN}) AND collection = 'memory'"
        for (one,) in self._database.rows(memories, [json.dumps(ids)]):
            self._tell(one, what, detail)

    def _live_among(self, ids: Sequence[int]) -> list[int]:
        rows = self._database.rows(
            f"SELECT id FROM entries WHERE id IN ({_GIVEN}) AND {LIVE}", [json.dumps(list(ids))]
        )
        live_ids = {row[0] for row in rows}
        return [one for one in dict.fromkeys(ids) if one in live_ids]

    def unindex(self, ids: Sequence[int]) -> None:
        """Take entries out of the full-text index, in a transaction."""
        self._database.later(lambda: self._unindex_now(ids))

    def _unindex_now(self, ids: Sequence[int]) -> None:
        for one in ids:
            self._database.rows("DELETE FROM entries_fts WHERE rowid = ?", [one])

    def restore(self, ids: Sequence[int]) -> list[int]:
        restored = []
        with self._database.write():
            for entry in self.get(list(dict.fromkeys(ids))):
                if entry.forgotten and not self.known([entry.content_hash]):
                    self.revive(entry.id)
                    restored.append(entry.id)
                    if entry.collection == "memory":
                        self._tell(entry.id, "restored", {})
        return restored

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        (new,), (vector,) = self.admitted([new], [vector])
        with self._database.write():
            old = next(iter(self.get([old_id])), None)
            if old is None or not old.live:
                raise NotFound(f"There is no live entry {old_id} that could be replaced.")
            if _says_the_same(old, new):
                return Added(old.id, created=False, restored=False)
            # Out of the way first: the new one may have the same content with other tags.
            self._point(old.id, old.id)
            self.unindex([old.id])
            added = self.add([new], [vector], model_id)[0]
            self._point(old.id, added.id)
            self._pin_as(old.id, added.id)
            if old.collection == "memory":
                self._tell(old.id, "superseded", {"by": f"m{added.id}"})
        return added

    def _pin_as(self, old_id: int, new_id: int) -> None:
        """Let what takes the place of a pinned entry be pinned."""
        self._database.rows(
            "UPDATE entries SET pinned_at = ifnull(pinned_at, (SELECT pinned_at FROM entries "
            "WHERE id = ?)) WHERE id = ?",
            [old_id, new_id],
        )

    def _point(self, old_id: int, new_id: int) -> None:
        self._database.update("entries", old_id, superseded_by=new_id, updated_at=self._clock())

    def replace(self, ids: Sequence[int], new_id: int) -> list[int]:
        with self._database.write():
            if not self._live_among([new_id]):
                raise NotFound(f"There is no live entry {new_id} that could replace others.")
            old = [one for one in self._live_among(ids) if one != new_id]
            for one in old:
                self._point(one, new_id)
                self._pin_as(one, new_id)
            self.unindex(old)
            self.tell_of_memories(old, "superseded", {"by": f"m{new_id}"})
        return old

    def not_holding(self, ids: Iterable[int], moment: float) -> set[int]:
        # By its index, which has few: the rows of all results would be read otherwise.
        rows = self._database.rows(
            "SELECT id FROM entries INDEXED BY entries_validity "
            "WHERE (valid_from IS NOT NULL OR valid_until IS NOT NULL) "
            f"AND id IN ({_GIVEN}) AND (valid_from > ? OR valid_until <= ?)",
            [json.dumps(list(ids)), moment, moment],
        )
        return {row[0] for row in rows}

    def recent(self, where: EntryFilter = EVERYTHING, limit: int = 50) -> list[Entry]:
        sql, bindings = live(where, many=True)
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM entries WHERE {sql} ORDER BY created_at DESC, id DESC LIMIT ?",
            [*bindings, limit],
        )
        return [entry_of(row) for row in rows]

    def page(
        self, after_id: int = 0, limit: int = 500, where: EntryFilter | None = None
    ) -> list[Entry]:
        kept = ("purged_at IS NULL", list[Value]())
        sql, bindings = kept if where is None else live(where, many=True)
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM entries WHERE id > ? AND {sql} ORDER BY id LIMIT ?",
            [after_id, *bindings, limit],
        )
        return [entry_of(row) for row in rows]

    def live_count(self, where: EntryFilter = EVERYTHING) -> int:
        sql, bindings = live(where, many=True)
        return int(self._database.value(f"SELECT count(*) FROM entries WHERE {sql}", bindings))

    def live_ids(self, where: EntryFilter, limit: int) -> list[int] | None:
        sql, bindings = live(where, many=True)
        # Counted first: most filters let through far more, and rows cost more than counting them.
        counted = f"SELECT count(*) FROM (SELECT 1 FROM entries WHERE {sql} LIMIT ?)"
        if self._database.value(counted, [*bindings, limit + 1]) > limit:
            return None
        rows = self._database.rows(f"SELECT id FROM entries WHERE {sql}", bindings)
        return sorted(row[0] for row in rows)

    def filter_ids(self, ids: Iterable[int], where: EntryFilter = EVERYTHING) -> set[int]:
        sql, bindings = live(where, many=False)
        given: list[Value] = [json.dumps(list(ids))]
        rows = self._database.rows(
            f"SELECT id FROM entries WHERE id IN (SELECT value FROM json_each(?)) AND {sql}",
            given + bindings,
        )
        return {row[0] for row in rows}

    def provenances(self, numbers: Iterable[int]) -> dict[int, Provenance]:
        return self.provenance_table.of(numbers)

    def members(self, ids: Sequence[int]) -> dict[int, str]:
        return self.provenance_table.members(ids)

    def namespaces(self, collection: str | None = None) -> Mapping[str, int]:
        return dict(
            self._database.rows(
                f"SELECT namespace, count(*) FROM entries WHERE {LIVE} "
                "AND collection = ifnull(?, collection) GROUP BY namespace ORDER BY namespace",
                [collection],
            )
        )


def _named(model_id: str | None) -> str:
    if not model_id:
        raise InvalidInput("Vectors were given without the name of their model.")
    return model_id


def _says_the_same(old: Entry, new: NewEntry) -> bool:
    if (old.title, old.content) != (new.title, new.content):  # white space is put right
        return False
    beside = ("kind", "tags", "salience", "decay", "source", "valid_from", "valid_until")
    return old.content_hash == new.content_hash and all(
        getattr(old, name) == getattr(new, name) for name in beside
    )
