"""The tables of links between entries, and of the code that they are about."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.links import (
    KINDS,
    SUPERSEDES,
    CodeReference,
    EntryLink,
    LinkStore,
    ReferenceStore,
)

_OF_THESE = """
    SELECT id, from_id, to_id, kind, created_at, ended_at, by FROM links WHERE id IN (
        SELECT id FROM links WHERE from_id IN (SELECT value FROM json_each(?1))
        UNION SELECT id FROM links WHERE to_id IN (SELECT value FROM json_each(?1)))
"""


class LinkTable(LinkStore):
    """`LinkStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, from_id: int, to_id: int, kind: str, by: str = "") -> bool:
        if kind not in KINDS or kind == SUPERSEDES or from_id == to_id:
            raise InvalidInput(f"There is no link {kind!r} from {from_id} to {to_id}.")
        with self._database.write():
            self._check_ends(from_id, to_id)
            return bool(
                self._database.changed(
                    "INSERT INTO links (from_id, to_id, kind, created_at, by) "
                    "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    [from_id, to_id, kind, self._clock(), by],
                )
            )

    def _check_ends(self, *ids: int) -> None:
        rows = self._database.rows(
            "SELECT id FROM entries WHERE id IN (SELECT value FROM json_each(?))",
            [json.dumps(ids)],
        )
        for one in ids:
            if (one,) not in rows:
                raise NotFound(f"There is no entry {one} that could be linked.")

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        with self._database.write():
            return bool(
                self._database.changed(
                    "UPDATE links SET ended_at = ? "
                    "WHERE from_id = ? AND to_id = ? AND kind = ? AND ended_at IS NULL",
                    [self._clock(), from_id, to_id, kind],
                )
            )

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


class ReferenceTable(ReferenceStore):
    """`ReferenceStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        with self._database.write():
            if not self._database.rows("SELECT 1 FROM entries WHERE id = ?", [entry_id]):
                raise NotFound(f"There is no entry {entry_id} that could be about code.")
            for one in references:
                self._database.rows(
                    "DELETE FROM code_references WHERE entry_id = ? AND path = ? AND name IS ?",
                    [entry_id, one.path, one.name],
                )
                self._database.insert(
                    "code_references", entry_id=entry_id, root=one.root, path=one.path,
                    name=one.name, value=one.value, blob=one.blob, commit_id=one.commit_id,
                    created_at=self._clock(),
                )  # fmt: skip

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
