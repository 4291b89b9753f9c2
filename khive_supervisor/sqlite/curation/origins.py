"""Where things came from: by which numbers they were known in other stores."""

from __future__ import annotations

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


class Origins:
    """The numbers here of things of other stores; those of this store have their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Of the transaction at work: this store's name, and projects by their numbers elsewhere.
        self._own = ""
        self._projects: dict[int, int | None] = {}

    def begin(self) -> None:
        """Begin a transaction: what was looked up before may not be so any more."""
        self._own = self._database.value("SELECT lower(hex(name)) FROM past")
        self._projects.clear()

    def here(self, store: str, kind: str, origin: str | int) -> int | None:
        """Return the number here of something of a store; None: it did not come."""
        if store == self._own:
            own: int | None = self._database.value(_OWN[kind], [origin])
            return own
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
