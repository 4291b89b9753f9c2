"""What a reader is told that wants all that the server has, or whether it has a change."""

from __future__ import annotations

from collections.abc import Callable

from khive_supervisor.errors import KhiveError
from khive_supervisor.team.messages import (
    MessageKind,
    TurnMessage,
    TurnRefusal,
    numbered,
    refused,
)
from khive_supervisor.team.order import LogPosition, OutOfOrder, SchemaAhead, check_caught_up
from khive_workers.replicator.turn import ReplicaHost
from khive_workers.team.server import TeamServer

_HINT = "Try again when `khive-supervisor status` shows it as connected."


def caught_up(host: ReplicaHost, follow: Callable[[TeamServer], None]) -> TurnMessage:
    """Have the replica hold the server's newest change, and return the answer that says so.

    Whoever asked before this is called sees all that was acknowledged before they asked.
    """
    server = host.server()
    if server is None:
        return _refusal(host.problem() or "it is away")
    try:
        head = int(server.ask("SELECT number FROM khive.head")[0][0])
        if host.position().number < head:
            follow(server)
        check_caught_up(host.position().number, head)
    except (KhiveError, OutOfOrder, SchemaAhead) as error:
        host.failed(error)
        return _refusal(str(error).partition("\n")[0])
    return numbered(MessageKind.CAUGHT_UP, host.position())


def found(host: ReplicaHost, message: TurnMessage) -> TurnMessage:
    """Return the answer to whether the server has a change: its position, or none."""
    server = host.server()
    if server is None:
        return _refusal(host.problem() or "it is away")
    try:
        change = message.position
        has = server.has(change)
    except (KhiveError, ValueError) as error:
        if isinstance(error, KhiveError):
            host.failed(error)
        return _refusal(str(error).partition("\n")[0])
    if has is None:
        why = f"It may be stored: the team's log does not go back to change {change.number}."
        return refused(TurnRefusal(why, "Look before you have it stored again.", unknown=True))
    return numbered(MessageKind.FOUND, change if has else LogPosition(0))


def _refusal(why: str) -> TurnMessage:
    why = f"The team's server cannot be asked now: {why.rstrip('.?')}."
    return refused(TurnRefusal(why, _HINT, away=True))
