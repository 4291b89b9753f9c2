"""Locks of the server for what only one node does at a time; they end with its connection."""

from __future__ import annotations

from khive_supervisor import logs
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import offices
from khive_workers.team.server import TeamServer

log = logs.get("khive.replicator")

#: The first of the two keys of such a lock; the other one is made of the office's name.
_CLASS = 731_055_203


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

    def stand(self, server: TeamServer) -> None:
        """Try for those that are wanted and not held, and let go of what is wanted no more.

        Raises:
            ServerAway, ServerRefuses: nobody knows; what is held ends with the connection.
        """
        wanted = set(offices.wanted(self._store.database))
        if wanted == self._held:
            return
        before = set(self._held)
        for office in self._held - wanted:
            server.ask("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_CLASS, office))
            self._held.discard(office)
        for office in sorted(wanted - self._held):
            ask = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
            if server.ask(ask, (_CLASS, office))[0][0]:
                self._held.add(office)
        if self._held != before:
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
