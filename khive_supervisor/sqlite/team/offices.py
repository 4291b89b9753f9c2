"""The tables of offices: what this node would do for its team, and whose term it is."""

from __future__ import annotations

from collections.abc import Callable, Collection

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.workflows.offices import OfficeStore, Superseded


class OfficeTable(OfficeStore):
    """`OfficeStore` on SQLite.

    Args:
        database: whose transactions terms are checked in.
        clock: unix seconds.
        node: this node's name.
        member: says as whom it connects, where a team knows of offices; None: it does not.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        node: str,
        member: Callable[[], str | None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._node = node
        self._member = member

    @property
    def elected(self) -> bool:
        return self._member() is not None

    def _named(self, office: str) -> str:
        """Return how the team knows it: each member's nodes have offices of their own."""
        return f"{self._member() or ''}/{office}"

    def want(self, offices: Collection[str]) -> None:
        known = {office for (office,) in self._database.rows("SELECT office FROM offices")}
        wanted = {self._named(office) for office in offices}
        if not self._node or known == wanted:
            return
        with self._database.write(local=True):
            for office in known - wanted:
                self._database.rows("DELETE FROM offices WHERE office = ?", [office])
            for office in wanted - known:
                self._database.rows("INSERT INTO offices (office) VALUES (?)", [office])

    def holds(self, office: str) -> bool:
        if not self.elected:
            return True
        sql = "SELECT held FROM offices WHERE office = ?"
        return bool(self._database.value(sql, [self._named(office)]))

    def begin(self, office: str) -> int:
        if not self.elected:
            return 0
        with self._database.write():
            self._database.rows(
                "INSERT INTO terms (office, term, node, since) VALUES (?1, 1, ?2, ?3) "
                "ON CONFLICT (office) DO UPDATE SET term = term + 1, node = ?2, since = ?3",
                [self._named(office), self._node, self._clock()],
            )
            return self._last(office)

    def check(self, office: str, term: int) -> None:
        if self.elected and self._last(office) != term:
            raise Superseded(
                f"Another node of the team has taken `{office}` over; nothing was done here.",
                hint="Nothing is to be done: it goes on there.",
            )

    def _last(self, office: str) -> int:
        sql = "SELECT term FROM terms WHERE office = ?"
        found = self._database.value(sql, [self._named(office)])
        return 0 if found is None else int(found)


def wanted(database: Database) -> dict[str, bool]:
    """Return the offices that this node wants, and whether it is noted as holding each."""
    rows = database.rows("SELECT office, held FROM offices")
    return {str(office): bool(held) for office, held in rows}


def follow_member(database: Database, before: str, now: str) -> None:
    """Want as one member what was wanted as another one; nothing of it is held."""
    database.rows(
        "UPDATE OR REPLACE offices SET office = ?1 || substr(office, length(?2) + 1), held = 0 "
        "WHERE substr(office, 1, length(?2) + 1) = ?2 || '/'",
        [now, before],
    )


def note_held(database: Database, held: Collection[str]) -> None:
    """Let this node's processes know which offices it holds."""
    noted = {office for office, is_held in wanted(database).items() if is_held}
    if changed := noted ^ set(held):
        with database.write():
            for office in changed:
                sql = "UPDATE offices SET held = ? WHERE office = ?"
                database.rows(sql, [int(office in held), office])
