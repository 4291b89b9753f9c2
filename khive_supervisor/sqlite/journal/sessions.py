"""The tables of clients' sessions, and of what was put into them."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.journal.events import conditions
from khive_supervisor.store.journal.model import ANY_EVENT, JournalFilter
from khive_supervisor.store.journal.sessions import (
    ClientSession,
    ClientSessionStore,
    Injection,
    InjectionStore,
)

_SESSION = (
    "client, session, project_id, namespace, cwd, branch, process, state, epoch, last_prompt, "
    "cost, begun_at, seen_at, since"
)
_INJECTION = "entry_id, event, epoch, tokens, at, client, session, used, id"


class ClientSessionTable(ClientSessionStore):
    """`ClientSessionStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, session: ClientSession) -> None:
        prompt = self._database.gate.written(session.last_prompt)
        cwd = self._database.gate.written(session.cwd)
        branch = self._database.gate.written(session.branch)
        kept = replace(session, last_prompt=prompt, cwd=cwd, branch=branch)
        marks = ", ".join("?" * len(_row(kept)))
        with self._database.write(local=True):
            self._database.changed(
                f"INSERT OR REPLACE INTO client_sessions ({_SESSION}) VALUES ({marks})", _row(kept)
            )

    def find(self, client: str, session: str) -> ClientSession | None:
        rows = self._database.rows(
            f"SELECT {_SESSION} FROM client_sessions WHERE client = ? AND session = ?",
            (client, session),
        )
        return ClientSession(*rows[0]) if rows else None

    def page(self, where: JournalFilter = ANY_EVENT, limit: int = 50) -> list[ClientSession]:
        condition, values = conditions(replace(where, before=None))
        rows = self._database.rows(
            f"SELECT {_SESSION} FROM client_sessions WHERE {condition} "
            "ORDER BY seen_at DESC, session LIMIT ?",
            (*values, limit),
        )
        return [ClientSession(*row) for row in rows]

    def erase(self, before: float, limit: int) -> int:
        old = "SELECT client, session FROM client_sessions WHERE seen_at < ? LIMIT ?"
        bound: tuple[Value, ...] = (before, limit)
        with self._database.write(local=True):
            self._database.changed(
                f"DELETE FROM injections WHERE (client, session) IN ({old})", bound
            )
            return self._database.changed(
                f"DELETE FROM client_sessions WHERE (client, session) IN ({old})", bound
            )


class InjectionTable(InjectionStore):
    """`InjectionStore` on SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, injections: Sequence[Injection]) -> None:
        with self._database.write(local=True):
            for one in injections:
                self._database.changed(
                    "INSERT INTO injections (entry_id, event, epoch, tokens, at, client, session) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (one.entry, one.event, one.epoch, one.tokens, one.at, one.client, one.session),
                )

    def of_session(self, client: str, session: str) -> list[Injection]:
        return self._found("client = ? AND session = ? ORDER BY id", (client, session))

    def of_entry(self, entry_id: int, limit: int = 20) -> list[Injection]:
        return self._found("entry_id = ? ORDER BY id DESC LIMIT ?", (entry_id, limit))

    def _found(self, condition: str, values: Sequence[Value]) -> list[Injection]:
        rows = self._database.rows(f"SELECT {_INJECTION} FROM injections WHERE {condition}", values)
        return [_injection(*row) for row in rows]

    def judge(self, injections: Sequence[Injection], used: bool) -> None:
        ids = [one.id for one in injections]
        with self._database.write(local=True):
            self._database.changed(
                "UPDATE injections SET used = ? WHERE id IN (SELECT value FROM json_each(?))",
                (int(used), json.dumps(ids)),
            )


def _row(one: ClientSession) -> tuple[Value, ...]:
    return (
        one.client, one.session, one.project, one.namespace, one.cwd, one.branch, one.process,
        one.state, one.epoch, one.last_prompt, one.cost, one.begun_at, one.seen_at,
        one.since,
    )  # fmt: skip


def _injection(entry: int, event: str, epoch: int, *rest: Any) -> Injection:
    tokens, at, client, session, used, number = rest
    judged = None if used is None else bool(used)
    return Injection(entry, event, epoch, tokens, at, client, session, judged, number)
