"""Where things came from: by which numbers they were known in other stores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.curation import Record

#: What is here of an export of this very store.
_OWN = {
    "entry": "SELECT id FROM entries WHERE id = ?",
    "profile": "SELECT id FROM profiles WHERE name = ?",
    "event": "SELECT seq FROM profile_events WHERE seq = ?",
    "project": "SELECT id FROM projects WHERE id = ?",
    "source": "SELECT id FROM sources WHERE namespace || char(10) || name = ?",
}
#: Of entries with these numbers in a store, the numbers here.
_KNOWN = (
    "SELECT CAST(id AS INTEGER), here FROM origins WHERE store = ? AND kind = 'entry' "
    "AND id IN (SELECT value FROM json_each(?))"
)
_NOTE = (
    "INSERT OR REPLACE INTO origins (store, kind, id, here) "
    "SELECT ?, 'entry', key, value FROM json_each(?)"
)


class Origins:
    """The numbers here of things of other stores; those of this store have their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Of the transaction at work: this store's name, and projects by their numbers elsewhere.
        self._own = ""
        self._projects: dict[int, int | None] = {}
        #: Entries of its records, by their numbers elsewhere; and those that are yet to be noted.
        self._entries: dict[int, int] = {}
        self._unnoted: dict[str, int] = {}

    @contextmanager
    def noted(self, store: str, entries: Iterable[int]) -> Iterator[None]:
        """Take entries with these numbers within: looked up at once now, noted at once at the end.

        For one transaction: what was looked up before may not be so any more.
        """
        self._own = self._database.value("SELECT lower(hex(name)) FROM past")
        self._projects.clear()
        self._unnoted.clear()
        self._entries = dict(
            self._database.rows(_KNOWN, [store, json.dumps([str(one) for one in entries])])
        )
        yield
        self._database.rows(_NOTE, [store, json.dumps(self._unnoted)])

    def entry_here(self, store: str, origin: int) -> int | None:
        """Return the number here of one of the entries that are at work."""
        return (
            self.here(store, "entry", origin) if store == self._own else self._entries.get(origin)
        )

    def came_entry(self, origin: int, here: int) -> None:
        """Note that an entry of the store at work came."""
        self._entries[origin] = here
        self._unnoted[str(origin)] = here

    def here(self, store: str, kind: str, origin: str | int) -> int | None:
        """Return the number here of something of a store; None: it did not come."""
        if store == self._own:
            own: int | None = self._database.value(_OWN[kind], [origin])
            return own
        if kind == "entry" and origin in self._entries:
            return self._entries[int(origin)]
        found: int | None = self._database.value(
            "SELECT here FROM origins WHERE store = ? AND kind = ? AND id = ?",
            [store, kind, str(origin)],
        )
        return found

    def came(self, store: str, kind: str, origin: str | int, here: int) -> None:
        """Note that something came, under which number it is here."""
        self._database.rows(
            "INSERT OR REPLACE INTO origins (store, kind, id, here) VALUES (?, ?, ?, ?)",
            [store, kind, str(origin), here],
        )

    def entry(self, store: str, record: Record) -> int | None:
        """Return the entry that a record names."""
        return self.here(store, "entry", record["entry"]) if "entry" in record else None

    def project(self, store: str, number: int) -> int | None:
        """Return the project of a number elsewhere."""
        if number not in self._projects:
            self._projects[number] = self.here(store, "project", number)
        return self._projects[number]
