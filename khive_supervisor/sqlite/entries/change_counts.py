"""How often each kind of thing has changed: what a cached copy in some process was made of."""

from __future__ import annotations

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.model import ChangeCounts


class ChangeTable:
    """Read only: triggers count, so that no way to write can forget it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self) -> ChangeCounts:
        """See `Store.change_counts`."""
        rows = self._database.rows("SELECT name, kind, count FROM past LEFT JOIN changes")
        return ChangeCounts(bytes(rows[0][0]), {kind: count for _, kind, count in rows if kind})
