"""The full-text index as a search engine: reading, and putting its parts together."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence

import apsw

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.conditions import (
    dates,
    impossible,
    scope_expression,
    scope_parts,
)
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.released.statements import LIVE
from khive_supervisor.store.full_text import FullText
from khive_supervisor.store.model import EVERYTHING, EntryFilter
from khive_supervisor.text.analysis import index_text, match_expression

#: The share of the entries from which on a condition is checked on the candidates instead of in
#: the index: walking the list of a namespace that holds nearly everything takes 5 ms at 100,000
#: entries, three times as long as the search for the words.
_BROAD = 0.2

#: Pages that one step of `tidy` writes, about: 5 ms in which other writers wait.
_MERGED_PAGES = 200

#: Seconds after which shares are looked up again.
_SHARES_AGE = 60.0

#: How many more candidates are asked for when too few of them pass.
_GROWTH = 4


_WORD_FREQUENCIES = (
    "SELECT known.term, known.doc FROM json_each(?) AS asked "
    "JOIN entries_terms AS known ON known.term = asked.value"
)


class FullTextIndex(FullText):
    """`FullText` on SQLite's FTS5."""

    def __init__(self, database: Database, entries: EntryTable) -> None:
        self._database = database
        self._entries = entries
        self._tokenizer: apsw.FTS5Tokenizer | None = None
        self._shares: dict[str, float] = {}
        self._shares_from = -_SHARES_AGE

    def match(
        self,
        expression: str,
        limit: int,
        where: EntryFilter = EVERYTHING,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        above: int = 0,
    ) -> list[tuple[int, float]]:
        if not expression or impossible(where):
            return []
        parts = scope_parts(where)
        narrow = [tokens for tokens in parts if self._narrows(tokens)]
        if len(narrow) == len(parts) and not where.by_rows:
            return self._match(expression, limit, narrow, where, weights, above)
        asked = limit
        while True:
            found = self._match(expression, asked, narrow, where, weights, above)
            passed = self._entries.filter_ids((i for i, _ in found), where)
            hits = [hit for hit in found if hit[0] in passed]
            if len(hits) >= limit or len(found) < asked:
                return hits[:limit]
            asked *= _GROWTH

    def _narrows(self, tokens: Sequence[str]) -> bool:
        """Return True if few enough entries have one of the tokens to ask the index for them.

        A guess of a minute ago is good enough: it decides what is quicker, never what is found.
        """
        now = time.monotonic()
        if now - self._shares_from > _SHARES_AGE:
            self._shares, self._shares_from = {}, now
        for token in tokens:
            if token not in self._shares:
                total = self._database.value("SELECT max(id) FROM entries") or 1
                self._shares[token] = self.document_frequencies([token])[token] / total
        return sum(self._shares[token] for token in tokens) < _BROAD

    def _match(
        self,
        expression: str,
        limit: int,
        scopes: Sequence[Sequence[str]],
        where: EntryFilter,
        weights: tuple[float, float, float],
        above: int,
    ) -> list[tuple[int, float]]:
        scope = scope_expression(scopes)
        whole = f"{scope} AND ({expression})" if scope else expression
        date_sql, date_bindings = dates(where)
        newer = " AND rowid > ?" if above else ""
        # The + keeps SQLite from asking the full-text index once for every id in the range.
        dated = f" AND +rowid IN (SELECT id FROM entries WHERE {LIVE}{date_sql})"
        return self._database.rows(
            "SELECT rowid, -bm25(entries_fts, 0.0, ?, ?, ?) AS score FROM entries_fts "
            f"WHERE entries_fts MATCH ?{newer}{dated if date_sql else ''} "
            "ORDER BY score DESC, rowid DESC LIMIT ?",
            [*weights, whole, *([above] if above else []), *date_bindings, limit],
        )

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        tokens = self.tokens(terms)
        words = {found[0] for found in tokens.values() if len(found) == 1}
        counts: dict[str, int] = dict(
            self._database.rows(_WORD_FREQUENCIES, [json.dumps([*words])])
        )
        return {
            term: counts.get(found[0], 0) if len(found) == 1 else self._phrase(term, found)
            for term, found in tokens.items()
        }

    def _phrase(self, term: str, tokens: Sequence[str]) -> int:
        """The vocabulary knows words only: a phrase has to be searched for."""
        expression = match_expression([term])
        if not expression or not tokens:
            return 0
        return int(
            self._database.value(
                "SELECT count(*) FROM entries_fts WHERE entries_fts MATCH ?", [expression]
            )
        )

    def count(self, term: str, where: EntryFilter, *, above: int = 0) -> int:
        expression = match_expression([term])
        if not expression or impossible(where):
            return 0
        scope = scope_expression(scope_parts(where))
        return int(
            self._database.value(
                "SELECT count(*) FROM entries_fts WHERE entries_fts MATCH ? AND rowid > ?",
                [f"{scope} AND ({expression})" if scope else expression, above],
            )
        )

    def tokens(self, terms: Iterable[str]) -> dict[str, list[str]]:
        with self._database.raw() as connection:
            if self._tokenizer is None:
                self._tokenizer = connection.fts5_tokenizer("porter", ["unicode61"])
            return {term: _tokens(self._tokenizer, term) for term in dict.fromkeys(terms)}

    def tidy(self, *, begin: bool) -> bool:
        with self._database.write(local=True), self._database.raw() as connection:
            before = connection.total_changes()
            self._database.rows(
                "INSERT INTO entries_fts (entries_fts, rank) VALUES ('merge', ?)",
                [-_MERGED_PAGES if begin else _MERGED_PAGES],
            )
            # The statement itself counts as one: https://www.sqlite.org/fts5.html#the_merge_command
            return connection.total_changes() - before >= 2


def _tokens(tokenizer: apsw.FTS5Tokenizer, term: str) -> list[str]:
    found = tokenizer(
        index_text(term).encode(),
        apsw.FTS5_TOKENIZE_QUERY,
        None,
        include_offsets=False,
        include_colocated=False,
    )
    return [token for token in found if isinstance(token, str)]
