"""Locks of the server for what only one node does at a time; they end with its connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from khive_supervisor import logs
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import offices
from khive_workers.team.pipeline import ResultRow, Step
from khive_workers.team.server import TeamServer

log = logs.get("khive.replicator")

#: The first of the two keys of such a lock; the other one is made of the office's name.
_CLASS = 731_055_203
_TRY = f"SELECT pg_try_advisory_lock({_CLASS}, hashtext($1::text))"


class OfficeLocks:
    """Has this node's offices be those whose locks its connection holds."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._held: set[str] = set()
        self._note()

    @property
    def held(self) -> list[str]:
        """The offices that this node holds."""
        return sorted(self._held)

    def tries(self, wanted: Collection[str]) -> dict[str, Step]:
        """Return what is to be asked for each office that is wanted and not held."""
        return {one: (_TRY, (one.encode(),)) for one in sorted(set(wanted) - self._held)}

    def stand(
        self, server: TeamServer, wanted: Collection[str], tried: Mapping[str, list[ResultRow]]
    ) -> None:
        """Take those in whose try has succeeded, and let go of what is wanted no more.

        Raises:
            ServerAway, ServerRefuses: nobody knows; what is held ends with the connection.
        """
        got = {office for office, rows in tried.items() if rows[0][0] == b"\x01"}
        over = self._held - set(wanted)
        if not got and not over:
            return
        self._held |= got
        for office in over:
            server.ask("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_CLASS, office))
            self._held.discard(office)
        log.info("team.offices", held=sorted(self._held))
        self._note()

    def lost(self) -> None:
        """The connection has ended, and all locks with it."""
        if self._held:
            self._held.clear()
            self._note()

    def _note(self) -> None:
        """Let this node's processes know."""
        offices.note_held(self._store.database, self._held)
