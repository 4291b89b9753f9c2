"""One writer's turn, as `khive_supervisor.team.turns` decides it: the acts behind its actions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

from khive_supervisor.errors import KhiveError
from khive_supervisor.team import turns
from khive_supervisor.team.messages import (
    MessageKind,
    TurnMessage,
    TurnRefusal,
    accepted_ahead,
    numbered,
    refused,
)
from khive_supervisor.team.order import (
    LoggedChange,
    LogPosition,
    OutOfOrder,
    SchemaAhead,
    check_caught_up,
    check_head,
)
from khive_supervisor.team.parts import PartedChange
from khive_supervisor.team.turns import LONGEST_TURN, TurnAction, TurnEvent, TurnState
from khive_workers.replicator.writers import WriterConnection
from khive_workers.team.server import LockedHead, ServerAway, TeamServer

#: Seconds that a server is waited for whose last answer was lost.
PATIENCE = 5.0
_TRY_AGAIN = "Nothing was stored. Try again when `khive-supervisor status` shows it as connected."


class ReplicaHost(Protocol):
    """What a turn needs of its replicator."""

    node: str

    def server(self) -> TeamServer | None:
        """Return the connection, if there is one now."""
        ...

    def server_again(self, patience: float) -> TeamServer | None:
        """Return a new connection, waiting for one; None: there is none."""
        ...

    def position(self) -> LogPosition:
        """Return how far the replica has come."""
        ...

    def expected(self) -> LogPosition:
        """Return how far the replica is, or will be once the writer before has committed."""
        ...

    def settle(self, newer: list[LoggedChange]) -> LogPosition:
        """Have the replica hold what was expected and what is newer; return how far it is then.

        Raises what applying does.
        """
        ...

    @property
    def undivided(self) -> bool:
        """Whether all members see everything, as far as this node has come."""
        ...

    def note_undivided(self, undivided: bool) -> None:
        """Have writers know whether their changes may be in one part."""
        ...

    def accepted(self, position: LogPosition) -> None:
        """Note that a writer is about to commit a change that the server has."""
        ...

    def failed(self, error: Exception) -> None:
        """Note why the server or the replica cannot be used now."""
        ...

    def problem(self) -> str:
        """Return why not; empty if nothing is known."""
        ...


class TurnSeries(Protocol):
    """What a turn needs of those that follow it."""

    def another_waits(self) -> bool:
        """Return whether another writer's turn follows this one, in the same breath."""
        ...

    def give_ahead(self, writer: WriterConnection, position: LogPosition) -> float | None:
        """Keep the next turn for a writer; return until when it may take it. None: it is not."""
        ...


class ServedTurn:
    """A turn from asking to its end.

    A writer that has taken it ahead has begun, and has the replica's write lock: nothing can be
    written down here before it has come to an end.
    """

    def __init__(self, host: ReplicaHost, series: TurnSeries, writer: WriterConnection) -> None:
        self._host = host
        self._series = series
        self._writer = writer
        self._position = LogPosition(0)
        self._change = PartedChange(())
        self._nonce = b""
        #: The turn was taken ahead, by who takes all members to see everything: they do not now.
        self._to_divide = False
        self._why = ""
        #: The server was lost, and is known not to have the changes.
        self._missing = False
        self._acts: dict[TurnAction, Callable[[], TurnEvent | None]] = {
            TurnAction.LOCK: self._lock,
            TurnAction.GRANT: self._grant,
            TurnAction.COMMIT: self._commit,
            TurnAction.LOOK: self._look,
            TurnAction.TELL_ACCEPTED: self._tell_accepted,
            TurnAction.REFUSE_AWAY: self._refuse_away,
            TurnAction.REFUSE_LATE: self._refuse_late,
            TurnAction.REFUSE_LOST: self._refuse_lost,
            TurnAction.REFUSE_UNKNOWN: self._refuse_unknown,
        }

    def serve(self) -> bool:
        """Go through the turn; return whether the writer is to be kept."""
        state, action = turns.FIRST
        while state is not TurnState.OVER:
            event = self._acts[action]()
            assert event is not None, f"{action} is answered by an event"
            state, action = turns.step(state, event)
        if action in turns.RELEASING and (server := self._host.server()) is not None:
            server.roll_back()
        if action is not TurnAction.ROLL_BACK:
            self._acts[action]()
        return action is not TurnAction.REFUSE_LATE

    # --- the server -----------------------------------------------------------------------------

    def _lock(self) -> TurnEvent:
        server = self._host.server()
        if server is None:
            self._why = self._host.problem()
            return TurnEvent.UNAVAILABLE
        try:
            here = self._host.expected()
            head = server.lock(here.number)
            check_head(here, head.number, head.there)
            if self._writer.ahead:
                return self._locked_ahead(here, head)
            self._position = self._host.settle(head.newer)
            check_caught_up(self._position.number, head.number)
            self._host.note_undivided(head.undivided)
        except (KhiveError, OutOfOrder, SchemaAhead) as error:
            self._why = str(error).partition("\n")[0]
            self._host.failed(error)
            return TurnEvent.UNAVAILABLE
        return TurnEvent.LOCKED

    def _locked_ahead(self, here: LogPosition, head: LockedHead) -> TurnEvent:
        """Let a turn go on that was taken ahead: its writer has begun at what was expected."""
        if head.newer:
            self._why = "others have written to it meanwhile"
            return TurnEvent.UNAVAILABLE
        self._position, self._to_divide = here, not head.undivided
        return TurnEvent.LOCKED

    def _commit(self) -> TurnEvent:
        server = self._host.server()
        assert server is not None
        try:
            server.check()
        except ServerAway as error:  # nothing of the change was sent
            self._why, self._missing = "its connection was lost", True
            self._host.failed(error)
            return TurnEvent.UNAVAILABLE
        return self._append(server)

    def _append(self, server: TeamServer) -> TurnEvent:
        number, given = self._position.number + 1, self._change
        change = LoggedChange(
            number, given.schema, given.parts, self._nonce, given.marks, purges=given.purges
        )
        try:
            server.append(self._host.node, change, again=self._series.another_waits())
        except ServerAway as error:
            self._host.failed(error)
            return TurnEvent.LOST
        except KhiveError as error:
            self._why = error.message
            return TurnEvent.UNAVAILABLE
        self._position = LogPosition(number, self._nonce)
        self._host.accepted(self._position)
        return TurnEvent.COMMITTED

    def _look(self) -> TurnEvent:
        server = self._host.server_again(PATIENCE)
        if server is None:
            return TurnEvent.UNKNOWN
        try:
            change = LogPosition(self._position.number + 1, self._nonce)
            found = server.has(change)
        except KhiveError as error:
            self._host.failed(error)
            return TurnEvent.UNKNOWN
        if found is None:
            return TurnEvent.UNKNOWN
        if not found:
            self._why, self._missing = "its connection was lost", True
            return TurnEvent.MISSING
        self._position = change
        return TurnEvent.FOUND

    # --- the writer -----------------------------------------------------------------------------

    def _grant(self) -> TurnEvent:
        if not self._writer.ahead:
            granted = numbered(MessageKind.GRANTED, self._position)
            if not self._writer.send(granted):
                return TurnEvent.GONE
        return self._heard()

    def _heard(self) -> TurnEvent:
        try:
            message = self._writer.wait(LONGEST_TURN)
        except TimeoutError:
            return TurnEvent.LATE
        except ConnectionError:
            return TurnEvent.GONE
        return self._understood(message)

    def _understood(self, message: TurnMessage | None) -> TurnEvent:
        if message is None or message.kind is MessageKind.TAKE:
            return TurnEvent.GONE
        if message.kind is not MessageKind.CHANGES:
            return TurnEvent.GIVEN_BACK
        self._change = PartedChange.decode(message.body)
        self._nonce = self._change.nonce or uuid.uuid4().bytes
        if self._to_divide and self._change.undivided:
            self._to_divide = False
            divides = self._writer.send(TurnMessage(MessageKind.DIVIDE))
            return self._heard() if divides else TurnEvent.GONE
        return TurnEvent.CHANGES

    def _tell_accepted(self) -> None:
        given = self._change.ahead
        until = self._series.give_ahead(self._writer, self._position) if given else None
        if until is None:
            self._writer.send(numbered(MessageKind.ACCEPTED, self._position))
        else:
            self._writer.send(accepted_ahead(self._position, until))

    def _refuse_away(self) -> None:
        self._refuse_unwritten(away=True)

    def _refuse_lost(self) -> None:
        # What the server itself refuses it would refuse later, too.
        self._refuse_unwritten(away=self._missing)

    def _refuse_unwritten(self, *, away: bool) -> None:
        why = f"The team's server cannot be written to now: {self._why or 'it is away'}"
        self._refuse(f"{why.rstrip('.?')}.", _TRY_AGAIN, away=away)

    def _refuse_late(self) -> None:
        self._refuse(
            f"This took longer than {LONGEST_TURN:g} s, and others wait: nothing was stored.",
            "Try again, with less at a time.",
        )

    def _refuse_unknown(self) -> None:
        self._refuse(
            "The team's server was lost while this was written: it may or may not be stored.",
            "Look, once it is connected again, before you repeat it.",
            unknown=True,
        )

    def _refuse(self, why: str, hint: str, *, away: bool = False, unknown: bool = False) -> None:
        self._writer.send(refused(TurnRefusal(why, hint, away, unknown)))
