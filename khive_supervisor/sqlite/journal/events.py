"""The table of events: told twice, kept once."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.journal.facet import JournalStore
from khive_supervisor.store.journal.model import (
    ANY_EVENT,
    MOST_ERROR,
    MOST_TEXT,
    EventKind,
    JournalEvent,
    JournalFilter,
    JournalledSession,
    Origin,
)

_COLUMNS = (
    "client, session, kind, speaker, text, path, exit_code, tool, at, project_id, namespace, "
    "CASE WHEN hooked THEN 'hook' ELSE 'transcript' END, id"
)
_DIGEST_BYTES = 12
_SEEN = {Origin.HOOK: "hooked", Origin.TRANSCRIPT: "transcribed"}


class JournalEventTable(JournalStore):
    """`JournalStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def append(self, events: Sequence[JournalEvent]) -> list[int]:
        if not events:
            return []
        kept = [self._kept(one) for one in events]
        with self._database.write(local=True):
            return [self._noted(one) for one in kept]

    def _kept(self, event: JournalEvent) -> JournalEvent:
        """Return what may be kept of an event: cut to its bound, without secrets."""
        gate = self._database.gate
        if event.kind == EventKind.ERROR:
            text = gate.written(event.text)[-MOST_ERROR:]
        else:
            text = gate.written(event.text)[:MOST_TEXT]
        return replace(
            event,
            text=gate.passed(text.strip()),
            path=gate.written(event.path),
            at=event.at or self._clock(),
        )

    def _noted(self, event: JournalEvent) -> int:
        """Return the id of an event's row, which the other origin may have made."""
        seen, digest = _SEEN[Origin(event.origin)], _digest(event)
        same: list[Value] = [event.client, event.session, event.kind, digest]
        among = "client = ? AND session = ? AND kind = ? AND digest = ?"
        row = self._database.value(
            f"SELECT id FROM journal WHERE {among} AND {seen} = 0 ORDER BY nth LIMIT 1", same
        )
        if row is not None:
            self._database.rows(
                f"UPDATE journal SET {seen} = 1, exit_code = ifnull(exit_code, ?) WHERE id = ?",
                [event.exit_code, row],
            )
            return int(row)
        nth = self._database.value(f"SELECT count(*) FROM journal WHERE {among}", same)
        return self._inserted(event, digest, nth)

    def _inserted(self, event: JournalEvent, digest: bytes, nth: int) -> int:
        hooked = event.origin == Origin.HOOK
        return self._database.insert(
            "journal",
            client=event.client, session=event.session, project_id=event.project,
            namespace=event.namespace, at=event.at, kind=str(event.kind),
            speaker=str(event.speaker), text=event.text, path=event.path,
            exit_code=event.exit_code, tool=event.tool, digest=digest, nth=nth,
            hooked=int(hooked), transcribed=int(not hooked),
        )  # fmt: skip

    def reread(self, client: str, session: str) -> None:
        self._database.rows(
            "UPDATE journal SET transcribed = 0 WHERE client = ? AND session = ?",
            [client, session],
        )

    def of_session(self, client: str, session: str, after: int = 0) -> list[JournalEvent]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM journal WHERE client = ? AND session = ? AND id > ? "
            "ORDER BY at, id",
            [client, session, after],
        )
        return [JournalEvent(*row) for row in rows]

    def sessions(
        self, where: JournalFilter = ANY_EVENT, limit: int = 100
    ) -> list[JournalledSession]:
        condition, bindings = conditions(where)
        rows = self._database.rows(
            "SELECT client, session, max(project_id), max(namespace), min(at), max(at), count(*) "
            f"FROM journal WHERE {condition} GROUP BY client, session "
            "ORDER BY max(at) DESC LIMIT ?",
            [*bindings, limit],
        )
        return [JournalledSession(*row) for row in rows]

    def search(
        self, words: Sequence[str], where: JournalFilter = ANY_EVENT, limit: int = 20
    ) -> list[JournalEvent]:
        condition, bindings = conditions(where)
        having = "".join(" AND text || ' ' || path LIKE ? ESCAPE '\\'" for _ in words)
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM journal WHERE {condition}{having} ORDER BY id DESC LIMIT ?",
            [*bindings, *(f"%{_escaped(word)}%" for word in words), limit],
        )
        return [JournalEvent(*row) for row in rows]

    def count(self, where: JournalFilter = ANY_EVENT) -> int:
        condition, bindings = conditions(where)
        return int(
            self._database.value(f"SELECT count(*) FROM journal WHERE {condition}", bindings)
        )

    def learned(self, client: str, session: str) -> int:
        found = self._database.value(
            "SELECT up_to FROM journal_learned WHERE client = ? AND session = ?", [client, session]
        )
        return int(found or 0)

    def captured(self, client: str, session: str) -> Mapping[str, int]:
        return dict(
            self._database.rows(
                "SELECT part, entry_id FROM captured WHERE client = ? AND session = ?",
                [client, session],
            )
        )

    def note_learned(self, client: str, session: str, up_to: int, parts: Mapping[str, int]) -> None:
        with self._database.write(local=True):
            self._database.rows(
                "INSERT OR REPLACE INTO journal_learned VALUES (?, ?, ?)", [client, session, up_to]
            )
            for part, entry in parts.items():
                self._database.rows(
                    "INSERT OR REPLACE INTO captured (client, session, part, entry_id) "
                    "VALUES (?, ?, ?, ?)",
                    [client, session, part, entry],
                )

    def erase(self, where: JournalFilter, limit: int | None = None) -> int:
        condition, bindings = conditions(where)
        bound = -1 if limit is None else limit
        return self._database.changed(
            "DELETE FROM journal WHERE id IN "
            f"(SELECT id FROM journal WHERE {condition} ORDER BY at LIMIT ?)",
            [*bindings, bound],
        )


def conditions(where: JournalFilter) -> tuple[str, list[Value]]:
    """Return the condition of a filter, and what is bound to it."""
    parts: list[str] = ["TRUE"]
    bindings: list[Value] = []
    for column, value in (("client", where.client), ("session", where.session)):
        if value is not None:
            parts.append(f"{column} = ?")
            bindings.append(value)
    if where.project is not None:
        parts.append("ifnull(project_id, 0) = ?")
        bindings.append(where.project)
    if where.namespaces is not None:
        parts.append("namespace IN (SELECT value FROM json_each(?))")
        bindings.append(json.dumps(where.namespaces))
    if where.before is not None:
        parts.append("at < ?")
        bindings.append(where.before)
    return " AND ".join(parts), bindings


def _digest(event: JournalEvent) -> bytes:
    """Return what two tellings of one event have in common: white space is not."""
    text = f"{event.namespace}\0{event.path}\0{' '.join(event.text.split())}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _escaped(text: str) -> str:
    for sign in "\\%_":
        text = text.replace(sign, "\\" + sign)
    return text
