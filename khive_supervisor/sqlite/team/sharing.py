"""A writer's turns: what a transaction changes is recorded, and accepted before it commits."""

from __future__ import annotations

import apsw

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.engine.sharing import Sharing, WriteTurn
from khive_supervisor.sqlite.schema.shared import SHARED
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.team.order import LogPosition


class SharedTurn(WriteTurn):
    """One turn."""

    def __init__(self, client: TurnClient, granted: LogPosition) -> None:
        self._client = client
        self._granted = granted
        self._session: apsw.Session | None = None
        self._held = True

    def begin(self, connection: apsw.Connection) -> None:
        have = replica.position(connection)
        if have != self._granted:
            raise StoreUnavailable(
                f"The replica has come to change {have.number} and not {self._granted.number}; "
                "nothing was written.",
                hint="Try again.",
            )
        self._session = apsw.Session(connection, "main")
        self._session.table_filter(SHARED.__contains__)
        self._session.attach()

    def accept(self, connection: apsw.Connection) -> None:
        assert self._session is not None
        changes = self._session.changeset()
        if changes:
            self._held = False
            replica.advance(connection, self._client.hand_over(changes))

    def end(self, connection: apsw.Connection) -> None:
        if self._session is not None:
            self._session.close()
        if self._held:
            self._client.give_back()
        if not connection.in_transaction:
            connection.execute("PRAGMA synchronous = FULL")


class SharedWrites(Sharing):
    """Asks the node's replicator for turns."""

    def __init__(self, client: TurnClient) -> None:
        self._client = client

    def take(self, connection: apsw.Connection) -> WriteTurn:
        turn = SharedTurn(self._client, self._client.take())
        # The server has what is written by then; what a power cut takes from here is applied anew.
        connection.execute("PRAGMA synchronous = NORMAL")
        return turn

    def close(self) -> None:
        self._client.close()
