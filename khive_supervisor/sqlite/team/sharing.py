"""A writer's turns: what a transaction changes is recorded, and accepted before it commits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import apsw

from khive_supervisor.errors import Denied, OutcomeUnknown, StoreUnavailable, TeamAway
from khive_supervisor.sqlite.changes.recording import ChangeRecorder
from khive_supervisor.sqlite.changes.splitting import (
    PARTED_SINCE,
    UNDIVIDED_SINCE,
    ChangeSplitter,
    whole,
)
from khive_supervisor.sqlite.engine.sharing import Sharing, WriteTurn
from khive_supervisor.sqlite.schema.shared import COUNTED_TOGETHER, SHARED
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import WHOLE, PartedChange, Rights

_NONCE_BYTES = 16


class SharedTurn(WriteTurn):
    """One turn."""

    def __init__(self, client: TurnClient, granted: LogPosition, splitter: ChangeSplitter) -> None:
        self._client = client
        self._granted = granted
        self._splitter = splitter
        self._recorder: ChangeRecorder | None = None
        self._held = True
        self._rights = Rights()
        self._parted_team = True
        self._undivided = False

    def begin(self, connection: apsw.Connection) -> None:
        row = replica.read(connection)
        have = row.position if row is not None else LogPosition(0)
        self._rights = row.rights if row is not None else Rights()
        self._parted_team = row is not None and row.schema >= PARTED_SINCE
        self._undivided = row is not None and row.undivided and row.schema >= UNDIVIDED_SINCE
        if have != self._granted:
            raise StoreUnavailable(
                f"The replica has come to change {have.number} and not {self._granted.number}; "
                "nothing was written.",
                hint="Try again.",
            )
        shared = SHARED if self._parted_team else SHARED | COUNTED_TOGETHER
        self._recorder = ChangeRecorder(connection, self._splitter.shapes, shared)
        self._recorder.attach()

    def accept(self, connection: apsw.Connection, meanwhile: Callable[[], None]) -> None:
        assert self._recorder is not None
        self._recorder.detach()
        changes = self._recorder.changeset()
        if changes:
            nonce = os.urandom(_NONCE_BYTES)
            change = self._handed(changes, nonce)
            self._held = False
            self._client.hand_over(change)
            expected = LogPosition(self._granted.number + 1, nonce)
            try:  # while the server commits it
                meanwhile()
                self._note(connection, changes, expected)
                here = self._client.accepted(lambda: self._divided(changes, nonce))
            except OutcomeUnknown as error:
                self._client.close()
                error.number, error.nonce = expected.number, expected.nonce
                raise
            except BaseException:
                self._client.close()  # an answer that comes yet is of this turn
                raise
            if here != expected:  # a replicator of an earlier release draws the nonce itself
                replica.advance(connection, here)
        else:
            meanwhile()

    def _note(self, connection: apsw.Connection, changes: bytes, here: LogPosition) -> None:
        """Write down what the change leads to, and who has written it."""
        replica.advance(connection, here)
        replica.note_member(connection, self._splitter.given_text(changes), self._rights.member)
        replica.note_givers(connection, changes, self._rights.member)

    def _handed(self, changes: bytes, nonce: bytes) -> PartedChange:
        parted, ahead = self._parted(changes), self._client.takes_ahead
        return dataclasses.replace(parted, nonce=nonce, ahead=ahead)

    def _divided(self, changes: bytes, nonce: bytes) -> PartedChange:
        self._undivided = False
        return self._handed(changes, nonce)

    def _parted(self, changes: bytes) -> PartedChange:
        assert self._recorder is not None
        if not self._parted_team:
            return whole(changes)
        if self._undivided:
            return self._splitter.undivided(changes, self._recorder.patchset)
        # What was there before is in a changeset, too: of what is purged it is not to travel.
        sent = self._recorder.patchset() if self._splitter.purges(changes) else b""
        change = self._splitter.split(changes, sent)
        for part in change.parts:
            if part.name != WHOLE and not self._rights.see(part.name):
                raise Denied(
                    f"{self._rights.member} has no right to the namespace {part.name!r} of this "
                    "team: nothing was stored.",
                    hint="`session.namespace` names another one, or the team's owner gives the "
                    f"right: khive-supervisor team grant {self._rights.member} {part.name}.",
                )
        return change

    def end(self) -> None:
        if self._recorder is not None:
            self._recorder.detach()
        if self._held:
            self._client.give_back()


class SharedWrites(Sharing):
    """Asks the node's replicator for turns."""

    def __init__(self, client: TurnClient) -> None:
        self._client = client
        self._splitter: ChangeSplitter | None = None
        #: The connection whose commits do not wait for the disk.
        self._relaxed: apsw.Connection | None = None

    def take(self, connection: apsw.Connection) -> WriteTurn:
        try:
            granted = self._client.take()
        except StoreUnavailable:
            row = replica.read(connection)
            if row is None or row.rights.namespaces:
                raise
            raise Denied(
                f"{row.rights.member} has no right in this team: nothing was stored.",
                hint=f"The team's owner gives one: khive-supervisor team grant {row.rights.member} "
                "NAMESPACE. `khive-supervisor leave` uses this machine's own store again.",
            ) from None
        if self._splitter is None or not self._splitter.reads(connection):
            self._splitter = ChangeSplitter(connection)  # which remembers what columns tables have
        turn = SharedTurn(self._client, granted, self._splitter)
        if self._relaxed is not connection:
            # The server has what is written; what a power cut takes from here is applied anew.
            connection.execute("PRAGMA synchronous = NORMAL")
            self._relaxed = connection
        return turn

    def local(self, connection: apsw.Connection) -> None:
        if self._relaxed is connection:
            connection.execute("PRAGMA synchronous = FULL")
            self._relaxed = None

    def catch_up(self) -> None:
        try:
            self._client.catch_up()
        except StoreUnavailable as error:
            why = error.message.removeprefix("Nothing was written: ")
            raise TeamAway(
                f"This node cannot be brought up to date now, and `store.reads` is newest: {why}",
                hint='Try again, or read what is here: `store.reads = "replica"`.',
            ) from None

    def has(self, change: LogPosition) -> bool:
        return self._client.has(change)

    def close(self) -> None:
        self._client.close()
