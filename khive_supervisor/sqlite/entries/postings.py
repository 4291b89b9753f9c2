"""The full-text index as lists, and the fates of entries: reading only."""

# ruff: noqa: S608 - the places of values, which are bound
from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.full_text import PostingStore
from khive_supervisor.store.vectors import Fate
from khive_supervisor.text.analysis import match_expression

#: Entries of a term that are read as quickly as one id is looked up: 0.3 µs each, beside 20.
_READ_AT_ONCE = 60


class PostingTable(PostingStore):
    """`PostingStore` on SQLite's FTS5."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def phrase_ids(self, term: str, limit: int, above: int = 0) -> list[int]:
        expression = match_expression([term])
        if not expression:
            return []
        rows = self._database.rows(
            "SELECT rowid FROM entries_fts WHERE entries_fts MATCH ? AND rowid > ? "
            "ORDER BY rowid LIMIT ?",
            [expression, above, limit],
        )
        return [row[0] for row in rows]

    def having(self, term: str, ids: Sequence[int], entries: int) -> set[int]:
        expression = match_expression([term])
        if not expression or not ids:
            return set()
        # Bound one by one: of a table of them SQLite does not know that they are few.
        places = ",".join("?" * len(ids))
        # With the sign FTS5 reads the term's entries once, without it looks it up for each id.
        sign = "+" if entries <= _READ_AT_ONCE * len(ids) else ""
        rows = self._database.rows(
            "SELECT rowid FROM entries_fts WHERE entries_fts MATCH ? AND rowid BETWEEN ? AND ?"
            f" AND {sign}rowid IN ({places})",
            [expression, min(ids), max(ids), *ids],
        )
        return {row[0] for row in rows}

    def vocabulary(self, after: str, limit: int) -> list[tuple[str, int]]:
        return self._database.rows(
            "SELECT term, cnt FROM entries_terms WHERE term > ? ORDER BY term LIMIT ?",
            [after, limit],
        )

    def occurrences(self, after: str, last: str) -> list[tuple[str, int, str]]:
        return self._database.rows(
            "SELECT term, doc, col FROM entries_occurrences WHERE term > ? AND term <= ?",
            [after, last],
        )

    def ages(self, after: int, limit: int) -> list[tuple[int, float, float, float, int]]:
        return self._database.rows(
            "SELECT id, created_at, salience, decay, ifnull(project_id, 0) FROM entries "
            "WHERE id > ? ORDER BY id LIMIT ?",
            [after, limit],
        )

    def fates(self, after: int) -> list[Fate]:
        rows = self._database.rows(
            "SELECT seq, entry_id, live FROM fates WHERE seq > ? ORDER BY seq", [after]
        )
        return [Fate(seq, entry, bool(live)) for seq, entry, live in rows]

    def last_fate(self) -> int:
        return int(self._database.value("SELECT ifnull(max(seq), 0) FROM fates"))
