"""How many entries and vectors there are: as triggers have counted them, and counted anew."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

from typing import NamedTuple

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.released.statements import LIVE


class Counted(NamedTuple):
    """How many there are of something, and how many of live entries."""

    stored: int
    live: int


def counted(database: Database) -> dict[str, Counted]:
    """Return what the triggers have counted: vectors by model, and under no name the entries."""
    rows = database.rows("SELECT model_id, stored, live FROM vector_counts WHERE stored > 0")
    return {name: Counted(stored, live) for name, stored, live in rows}


def counted_anew(database: Database) -> dict[str, Counted]:
    """Return the same by counting: it reads all of them."""
    rows = database.rows(
        f"SELECT '', count(*), ifnull(sum({LIVE}), 0) FROM entries UNION ALL "
        "SELECT model_id, count(*), sum(deleted_at IS NULL AND superseded_by IS NULL) "
        "FROM vectors JOIN entries ON entries.id = entry_id GROUP BY model_id"
    )
    return {name: Counted(stored, live) for name, stored, live in rows if stored}
