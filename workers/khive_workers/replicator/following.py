"""How a node follows the log: its replica, the server's clock, and what is told of both."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.applying import Applier
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.tasks import lease
from khive_supervisor.team.clock import ServerClock
from khive_supervisor.team.order import LoggedChange, LogPosition, check_head
from khive_workers.replicator.server import TeamServer


class Following:
    """The replica of one node, as its replicator keeps it.

    Attributes:
        problem: why it cannot go on; empty while it can.
    """

    def __init__(
        self, store: SqliteStore, row: Replica, boot: Callable[[], str] = lease.boot_id
    ) -> None:
        self.problem = ""
        self._store = store
        self._row = row
        self._boot = boot
        self._applier = Applier(store.database, store.entries)
        self._clock = ServerClock(row.ahead if row.boot == boot() else None)
        self._head = row.number
        self._peers: list[str] = []
        self._heard = heard_file(store.path)
        self._until_peers = 0

    def position(self) -> LogPosition:
        """Return the last change that is in the replica."""
        return self._applier.position()

    def apply(self, changes: list[LoggedChange]) -> LogPosition:
        """Apply changes; return the position that leads to."""
        here = self._applier.apply(changes)
        self._head = max(self._head, here.number)
        return here

    def look(self, server: TeamServer) -> int:
        """Look at the server's head and clock; return the newest number.

        Raises:
            StoreError: it is another team's, or has lost what this node has seen.
        """
        here = self.position()
        found = server.look(here.number)
        if found.team != self._row.server:
            raise StoreError(
                "The server holds another team's store than this replica is of.",
                hint="Move the replica's directory away, and start again.",
            )
        check_head(here, found.number, found.there)
        self._head = found.number
        if (ahead := self._clock.take(found.sample)) is not None:
            self._write_clock(ahead)
        self._look_at_peers(server)
        _touch(self._heard)
        return found.number

    def _write_clock(self, ahead: float) -> None:
        with self._store.database.write(), self._store.database.raw() as connection:
            row = replica.read(connection)
            assert row is not None
            replica.put(connection, replace(row, boot=self._boot(), ahead=ahead))

    def _look_at_peers(self, server: TeamServer) -> None:
        self._until_peers -= 1
        if self._until_peers < 0:
            self._peers, self._until_peers = server.peers(), 10

    def numbers(self) -> dict[str, object]:
        """Return what is told of it: numbers and the nodes that are connected."""
        here = self.position().number
        return {"number": here, "behind": self._head - here, "peers": self._peers}


def heard_file(store_path: str) -> str:
    """Return the file that is touched each time the server was heard of."""
    return store_path + "-heard"


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
