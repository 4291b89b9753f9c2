"""Who says the entries that were learned: a source has one living text."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.sqlite.vectors.table import VectorTable
from khive_supervisor.store.model import Beside, KnownSource, LearnedText, Piece, SourceText
from khive_supervisor.store.sources import SourceStore

_GIVEN = "SELECT value FROM json_each(?)"
_SAID = "entry_sources.gone_at IS NULL"
#: What is below a folder: every name from it and a slash to it and the character after a slash.
_AFTER_SLASH = "0"
#: Between a name that is no place and the project whose source it is: no name that is typed has it.
_OF_PROJECT = "\x1f"
#: A source's name without the project.
_NAME = "iif(instr(name, char(31)), substr(name, 1, instr(name, char(31)) - 1), name)"
#: Ids among which the memory before or after one of the same source is looked for.
_NEARBY = 100


def _in_source(sign: str, order: str) -> str:
    """Return the SQL of the entry next to `here` in its source; none if that is of another run."""
    return (
        "(SELECT iif(run = here.run, entry_id, NULL) FROM entry_sources "
        f"WHERE source_id = here.source_id AND {_SAID} "
        f"AND (place, entry_id) {sign} (here.place, here.entry_id) "
        f"ORDER BY place {order}, entry_id {order} LIMIT 1)"
    )


_BESIDE_IN_SOURCE = (
    f"SELECT here.entry_id, {_in_source('<', 'DESC')}, {_in_source('>', 'ASC')} "
    "FROM entry_sources AS here JOIN sources ON sources.id = here.source_id "
    "JOIN entries ON entries.id = here.entry_id "
    f"WHERE here.entry_id IN ({_GIVEN}) AND here.gone_at IS NULL AND {_NAME} = entries.source"
)


def _in_time(where: str, order: str) -> str:
    """Return the SQL of the memory next to `here` among those of its source and title."""
    return (
        f"(SELECT id FROM entries WHERE {where} AND {LIVE} AND collection = here.collection "
        "AND namespace = here.namespace AND project_id IS here.project_id "
        f"AND source = here.source AND title = here.title ORDER BY id {order} LIMIT 1)"
    )


_BESIDE_IN_TIME = (
    "SELECT here.id, "
    + _in_time(f"id BETWEEN here.id - {_NEARBY} AND here.id - 1", "DESC")
    + ", "
    + _in_time(f"id BETWEEN here.id + 1 AND here.id + {_NEARBY}", "ASC")
    + f" FROM entries AS here WHERE here.id IN ({_GIVEN}) AND here.collection = 'memory' "
    "AND here.source IS NOT NULL AND here.title <> ''"
)


class SourceTable(SourceStore):
    """`SourceStore` on SQLite."""

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

    def say(
        self,
        text: SourceText,
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> LearnedText:
        text, given = self._admitted(text, vectors)
        text = replace(text, name=_key(text.name, text.project))
        with self._database.write():
            overtaken = self._is_overtaken(text)
            if overtaken and text.latest:
                return LearnedText((), 0, 0, 0, ())
            if overtaken:
                text = replace(text, replaces="nothing", digest=None)
            source = self._source(text)
            text = self._where_it_is(source, text)
            staged = text.more and self._replaces_something(source, text)
            first = self._next_place(source, text.run)
            added = [
                self._one(source, text, piece, staged, place)
                for place, piece in enumerate(text.pieces, first)
            ]
            pairs = [(one, data) for (one, _), data in zip(added, given, strict=True) if data]
            if pairs and not model_id:
                raise InvalidInput("Vectors were given without the name of their model.")
            if pairs and model_id:
                self._vectors.put(model_id, pairs)
            retired = () if text.more else self._settle(source, text)
        return _said(added, retired)

    def _admitted(
        self, text: SourceText, vectors: Sequence[bytes | None] | None
    ) -> tuple[SourceText, list[bytes | None]]:
        """Return a text as it may be kept; pieces that had to change lose their vectors."""
        entries, given = self._entries.admitted([one.entry for one in text.pieces], vectors)
        pieces = [
            replace(piece, entry=entry, locator=self._through(piece.locator))
            for piece, entry in zip(text.pieces, entries, strict=True)
        ]
        return replace(text, name=self._through(text.name), pieces=tuple(pieces)), given

    def _through(self, text: str) -> str:
        return self._database.gate.written(text)

    def begin_run(self) -> int:
        with self._database.write():
            # One row is enough: AUTOINCREMENT never gives a number twice.
            self._database.rows("DELETE FROM source_runs WHERE true")
            return self._database.inserted(
                "INSERT INTO source_runs (begun_at) VALUES (?)", [self._clock()]
            )

    def last_run(self) -> int:
        return int(self._database.value("SELECT ifnull(max(run), 0) FROM source_runs"))

    def _is_overtaken(self, text: SourceText) -> bool:
        """Return True if a later reading of the source has said something already."""
        found = self._database.value(
            "SELECT run FROM sources WHERE namespace = ? AND name = ?", [text.namespace, text.name]
        )
        return bool(text.name) and found is not None and found > text.run

    def _source(self, text: SourceText) -> int:
        """Return the source's id. Its digest is not that of its text until all of that is in."""
        return int(
            self._database.value(
                "INSERT INTO sources (namespace, name, root, learned_at, options, run, project_id) "
                "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                "ON CONFLICT (namespace, name) DO UPDATE SET learned_at = ?4, digest = NULL, "
                "root = ifnull(?3, root), options = ?5, run = max(run, ?6), "
                "project_id = iif(?8, NULL, project_id) RETURNING id",
                [text.namespace, text.name, text.root, self._clock(), text.options, text.run,
                 text.project, text.everywhere],
            )
        )  # fmt: skip

    def _where_it_is(self, source: int, text: SourceText) -> SourceText:
        """Return a file's text with the project that the file was read in first."""
        if not _is_place(text.name):
            return text
        project = self._database.value("SELECT project_id FROM sources WHERE id = ?", [source])
        pieces = (
            replace(piece, entry=replace(piece.entry, project=project)) for piece in text.pieces
        )
        return text if project == text.project else replace(text, pieces=tuple(pieces))

    def _replaces_something(self, source: int, text: SourceText) -> bool:
        return text.replaces != "nothing" and bool(
            self._database.value(
                f"SELECT 1 FROM entry_sources WHERE source_id = ? AND {_SAID} AND run < ? LIMIT 1",
                [source, text.run],
            )
        )

    def _next_place(self, source: int, run: int) -> int:
        """Return where the next piece of a text stands: behind those of its earlier parts."""
        last = self._database.value(
            f"SELECT max(place) FROM entry_sources WHERE source_id = ? AND {_SAID} AND run = ?",
            [source, run],
        )
        return 1 + (last or 0)

    def _one(
        self, source: int, text: SourceText, piece: Piece, staged: bool, place: int
    ) -> tuple[int, str]:
        """Return the id of what an entry has become, and what that was."""
        hashed = piece.entry.content_hash
        found, status = self._entries.live_id(hashed), "known"
        if found is not None:
            self._keep_if_said_by_nobody(found, text)
            self._entries.annotate(found, piece.entry.tags, piece.kind)
        else:
            found, status = self._entries.deleted_id(hashed), "restored"
            if found is None:
                found, status = self._entries.insert(piece.entry, live=not staged), "stored"
            elif not staged:
                self._entries.revive(found)
                self._entries.annotate(found, piece.entry.tags, piece.kind)
        self._link(source, found, text.run, piece, place)
        return found, status

    def _keep_if_said_by_nobody(self, entry: int, text: SourceText) -> None:
        """What lives without a source was said by itself, and outlives the one that says it now."""
        if text.name and not self._database.value(
            f"SELECT 1 FROM entry_sources WHERE entry_id = ? AND {_SAID}", [entry]
        ):
            nobody = self._source(SourceText(text.namespace, "", (), text.run))
            self._database.rows(
                "INSERT OR REPLACE INTO entry_sources (entry_id, source_id, run, said_at) "
                "VALUES (?, ?, ?, ?)",
                [entry, nobody, text.run, self._clock()],
            )

    def _link(self, source: int, entry: int, run: int, piece: Piece, place: int) -> None:
        self._database.rows(
            "INSERT INTO entry_sources (entry_id, source_id, run, locator, said_at, place) "
            "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET run = max(run, excluded.run), "
            "locator = excluded.locator, gone_at = NULL, place = excluded.place",
            [entry, source, run, piece.locator, self._clock(), place],
        )

    def _settle(self, source: int, text: SourceText) -> tuple[int, ...]:
        """All of the text is in: what it replaces goes, and what waited for that comes."""
        self._bring_in(source, text.run)
        ended = [] if text.replaces == "nothing" else self._end_others(source, text)
        for name in text.instead_of:
            ended += self._end_all(text.namespace, name)
        if text.digest is not None:
            self._database.rows("UPDATE sources SET digest = ? WHERE id = ?", [text.digest, source])
        self._show_line_less(source, text)
        return self._retire(ended)

    def _bring_in(self, source: int, run: int) -> None:
        """Let the entries live that were stored while the old text still lived."""
        waiting = self._database.rows(
            "SELECT entries.id, content_hash FROM entry_sources JOIN entries ON id = entry_id "
            f"WHERE source_id = ? AND {_SAID} AND run = ? AND deleted_at IS NOT NULL "
            "AND superseded_by IS NULL",
            [source, run],
        )
        for entry, hashed in waiting:
            twin = self._entries.live_id(hashed)
            if twin is None:
                self._entries.revive(entry)
            else:
                self._database.rows(
                    "UPDATE OR REPLACE entry_sources SET entry_id = ? "
                    "WHERE entry_id = ? AND source_id = ?",
                    [twin, entry, source],
                )

    def _end_others(self, source: int, text: SourceText) -> list[int]:
        """End what the source said before and does not say now."""
        titles = (
            "SELECT title FROM entry_sources JOIN entries ON id = entry_id "
            "WHERE source_id = ?2 AND run = ?3"
        )
        same = f" AND entry_id IN (SELECT id FROM entries WHERE title IN ({titles}))"
        by_title = text.replaces == "title"
        return self._end(
            f"source_id = ?2 AND run < ?3{same if by_title else ''}", [source, text.run]
        )

    def _end_all(self, namespace: str, name: str) -> list[int]:
        """End all that a source says: it is gone, or moved."""
        source = self._database.value(
            "UPDATE sources SET digest = NULL WHERE namespace = ? AND name = ? RETURNING id",
            [namespace, self._through(name)],
        )
        return [] if source is None else self._end("source_id = ?2", [source])

    def _end(self, condition: str, bindings: Sequence[Value]) -> list[int]:
        rows = self._database.rows(
            f"UPDATE entry_sources SET gone_at = ?1 WHERE {_SAID} AND {condition} "
            "RETURNING entry_id",
            [self._clock(), *bindings],
        )
        return [row[0] for row in rows]

    def _retire(self, ended: Sequence[int]) -> tuple[int, ...]:
        """Forget what no source says any more; what another one says is shown as that one's."""
        given = json.dumps(sorted(ended))
        said = f"SELECT 1 FROM entry_sources WHERE entry_id = value AND {_SAID}"
        rows = self._database.rows(
            f"SELECT value FROM json_each(?) WHERE NOT EXISTS ({said})", [given]
        )
        self._database.rows(
            "UPDATE entries SET source = other.name FROM ("
            f"  SELECT entry_id, min({_NAME}) AS name FROM entry_sources "
            f"  JOIN sources ON sources.id = source_id WHERE {_SAID} AND name <> '' "
            f"  AND entry_id IN ({_GIVEN}) GROUP BY entry_id"
            ") AS other WHERE entries.id = other.entry_id AND EXISTS ("
            "  SELECT 1 FROM entry_sources JOIN sources ON sources.id = source_id "
            f"  WHERE entry_id = entries.id AND gone_at IS NOT NULL AND {_NAME} = entries.source)",
            [given],
        )
        return tuple(self._entries.forget([row[0] for row in rows]))

    def _show_line_less(self, source: int, text: SourceText) -> None:
        """Earlier releases had the line in what they called the source."""
        self._database.rows(
            "UPDATE entries SET source = ?1 WHERE source LIKE ?2 ESCAPE '\\' AND id IN "
            "(SELECT entry_id FROM entry_sources WHERE source_id = ?3 AND gone_at IS NULL)",
            [text.name, _escaped(text.name) + ":%", source],
        )

    def end(
        self, namespace: str, names: Iterable[str], project: int | None = None
    ) -> tuple[int, ...]:
        keys = dict.fromkeys(key for name in names for key in (name, _key(name, project)))
        with self._database.write():
            ended = [entry for key in keys for entry in self._end_all(namespace, key)]
            return self._retire(ended)

    def below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        base = folder.rstrip("/")
        return self._known(
            "sources.namespace = ? AND name > ? AND name >= ? AND name < ?",
            [namespace, after, f"{base}/", base + _AFTER_SLASH],
            limit,
        )

    def named(
        self, namespace: str, names: Sequence[str], project: int | None = None
    ) -> list[KnownSource]:
        through = map(self._through, names)
        keys = dict.fromkeys(key for name in through for key in (name, _key(name, project)))
        return self._known(
            f"sources.namespace = ? AND name IN ({_GIVEN})",
            [namespace, json.dumps(list(keys))],
            len(keys),
        )

    def with_digests(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        given = json.dumps([one.hex() for one in digests])
        condition = "sources.namespace = ? AND digest IN (SELECT unhex(value) FROM json_each(?))"
        return self._known(condition, [namespace, given], -1)

    def _known(self, condition: str, bindings: Sequence[Value], limit: int) -> list[KnownSource]:
        rows = self._database.rows(
            f"SELECT {_NAME}, digest, root, options, count(entry_id), "
            f"ifnull(sum(entry_id IS NOT NULL AND {LIVE}), 0) FROM sources "
            f"LEFT JOIN entry_sources ON source_id = sources.id AND {_SAID} "
            "LEFT JOIN entries ON entries.id = entry_id "
            f"WHERE {condition} GROUP BY sources.id HAVING digest IS NOT NULL OR count(entry_id) "
            "ORDER BY name LIMIT ?",
            [*bindings, limit],
        )
        return [KnownSource(*row) for row in rows]

    def of(self, entry: int) -> list[tuple[str, str, float | None]]:
        return self._database.rows(
            f"SELECT {_NAME}, locator, gone_at FROM entry_sources "
            "JOIN sources ON sources.id = source_id WHERE entry_id = ? ORDER BY said_at, name",
            [entry],
        )

    def beside(self, ids: Iterable[int]) -> dict[int, Beside]:
        wanted = json.dumps([*ids])
        rows = self._database.rows(_BESIDE_IN_SOURCE, [wanted]) + self._database.rows(
            _BESIDE_IN_TIME, [wanted]
        )
        return {one: Beside(before, after) for one, before, after in rows if before or after}

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        wanted = json.dumps([one.hex() for one in hashes])
        given = "content_hash IN (SELECT unhex(value) FROM json_each(?))"
        vector = "EXISTS (SELECT 1 FROM vectors WHERE entry_id = entries.id AND model_id = ?)"
        rows = self._database.rows(
            f"SELECT content_hash FROM entries WHERE {given} AND {LIVE} UNION ALL "
            f"SELECT content_hash FROM entries WHERE {given} AND deleted_at IS NOT NULL "
            f"AND superseded_by IS NULL AND {vector}",
            [wanted, wanted, model_id],
        )
        return {row[0] for row in rows}


def _is_place(name: str) -> bool:
    """Return True for the name of a file or an address: one source, whoever reads it."""
    return name.startswith("/") or "://" in name


def _key(name: str, project: int | None) -> str:
    """Return under which name a source is stored: one that is no place is its project's own."""
    own = project is not None and name and not _is_place(name) and _OF_PROJECT not in name
    return f"{name}{_OF_PROJECT}{project}" if own else name


def _said(added: Sequence[tuple[int, str]], retired: tuple[int, ...]) -> LearnedText:
    counts = [status for _, status in added]
    return LearnedText(
        tuple(one for one, _ in added),
        counts.count("stored"),
        counts.count("restored"),
        counts.count("known"),
        retired,
    )


def _escaped(text: str) -> str:
    for sign in "\\%_":
        text = text.replace(sign, "\\" + sign)
    return text
