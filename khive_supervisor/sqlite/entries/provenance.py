"""Who stored entries, and how: each combination is stored once."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.model import How, Provenance, SaidBy

_COLUMNS = "said_by, how, actor, client, client_version, session, task, role"


class ProvenanceTable:
    """Numbers for provenances, and provenances by their numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Of the transaction that stores many; None outside.
        self._numbers: dict[Provenance, int] | None = None

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Look each provenance up once within: for one transaction, done or undone as a whole."""
        self._numbers = {}
        try:
            yield
        finally:
            self._numbers = None

    def number_of(self, provenance: Provenance | None) -> int | None:
        """Return the number of a provenance, in a transaction; None for none."""
        if provenance is None:
            return None
        if self._numbers is None:
            return self._looked_up(provenance)
        if provenance not in self._numbers:
            self._numbers[provenance] = self._looked_up(provenance)
        return self._numbers[provenance]

    def _looked_up(self, provenance: Provenance) -> int:
        # Masked before it is looked for: it would not be found as it is stored.
        through = self._database.gate.written
        row = {name: through(value) for name, value in asdict(provenance).items()}
        row["said_by"] = row.pop("by")
        same = " AND ".join(f"{name} = ?" for name in row)
        found = self._database.value(f"SELECT id FROM provenance WHERE {same}", [*row.values()])
        return int(found) if found is not None else self._database.insert("provenance", **row)

    def of(self, numbers: Iterable[int]) -> dict[int, Provenance]:
        """Return the provenances with these numbers."""
        rows = self._database.rows(
            f"SELECT id, {_COLUMNS} FROM provenance WHERE id IN (SELECT value FROM json_each(?))",
            [json.dumps(list(numbers))],
        )
        return {number: Provenance(SaidBy(by), How(how), *rest) for number, by, how, *rest in rows}

    def members(self, ids: Iterable[int]) -> dict[int, str]:
        """Return by entry the member of a team who wrote it."""
        rows = self._database.rows(
            "SELECT entry_id, member FROM entry_members "
            "WHERE entry_id IN (SELECT value FROM json_each(?))",
            [json.dumps(list(ids))],
        )
        return dict(rows)
