"""The order of a team's changes: numbers without a hole, applied one after the other (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from khive_supervisor.team.parts import ChangePart

#: Changes since the last base after which another one is made, and those before it that are kept
#: for nodes that are behind: applying so many takes a node a quarter of a minute.
RENEW_AFTER, KEPT_BEFORE = 10_000, 10_000
#: Changes that are applied in one local transaction.
BATCH = 200


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """One change of the log: its number, the schema that it was made by, and what it changes.

    Attributes:
        parts: those that this node may see; none of them: nothing in it is for this node.
        nonce: drawn by its writer: two changes of one number are told apart by it.
        marks: numbers of rows that it uses, by table, as `PartedChange` has them.
        node, member: which node wrote it, connected as which database role.
        purges: it removes entries for good; told by its writer alone.
        partial: its writer sees some namespaces only; the server says so.
    """

    number: int
    schema: int
    parts: tuple[ChangePart, ...]
    nonce: bytes = b""
    marks: Mapping[str, int] = field(default_factory=dict)
    node: str = ""
    member: str = ""
    purges: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A number and the nonce of the change that has it: how far a replica has come, and on what."""

    number: int
    nonce: bytes = b""


class OutOfOrder(Exception):
    """The numbers are not what they have to be; the message says how, for people."""


class LogCut(OutOfOrder):
    """What follows is not in the log any more: this node was away for long."""


class WritesLost(OutOfOrder):
    """The server has lost what this node has seen: a failover, or a backup that was restored."""


class RightsChanged(OutOfOrder):
    """A node may see other namespaces than its replica was made of."""


class SchemaAhead(Exception):
    """A change was made by a later release than this one."""


def following(position: int, changes: Sequence[LoggedChange], schema: int) -> list[LoggedChange]:
    """Return what is newer than a position, which follows it without a hole.

    Raises:
        OutOfOrder: a number is missing.
        SchemaAhead: one of them may change what this release does not know.
    """
    newer = [change for change in changes if change.number > position]
    for expected, change in enumerate(newer, position + 1):
        if change.number != expected:
            if expected == position + 1:
                raise LogCut(
                    f"the log begins at change {change.number}, and this node is at {position}"
                )
            raise OutOfOrder(f"change {expected} is missing: after it comes {change.number}")
        if change.schema > schema:
            raise SchemaAhead(
                f"change {expected} is of the schema {change.schema}, and this release knows "
                f"{schema}: upgrade this node"
            )
    return newer


def check_head(here: LogPosition, head: int, there: bytes | None) -> None:
    """Check that a server has not lost what this replica has seen.

    Args:
        here: how far the replica has come.
        head: the server's newest number.
        there: the nonce of the server's change of the replica's number; None: it keeps none.

    Raises:
        WritesLost: it has: a failover or a restored backup went back behind acknowledged writes.
    """
    if head < here.number:
        raise WritesLost(
            f"the server has come to change {head} only, and this node has seen change "
            f"{here.number}: {here.number - head} acknowledged writes are lost there"
        )
    if there is not None and here.nonce and there != here.nonce:
        raise WritesLost(
            f"change {here.number} is another one at the server than this node has seen: "
            "acknowledged writes up to it are lost there"
        )


def has_change(change: LogPosition, head: int, there: bytes | None) -> bool | None:
    """Return whether a log has a change; None: it has forgotten what was there.

    Args:
        change: its number, if it was accepted, and its nonce.
        head: the log's newest number, while nobody else can write.
        there: the nonce of the log's change of that number; None: it keeps none.
    """
    if head < change.number:
        return False
    return None if there is None else there == change.nonce


def check_caught_up(position: int, head: int) -> None:
    """Check that following the log has led to a head that was there before.

    Raises:
        LogCut: the log does not have all that leads there.
    """
    if position < head:
        raise LogCut(f"the log leads to change {position} only, and the head is at {head}")


def base_is_due(head: int, base: int) -> bool:
    """Return whether a new base should be made, so that nodes that join need not apply it all."""
    return head - base >= RENEW_AFTER


def forgotten_before(base: int) -> int:
    """Return the number up to which a new base makes the log superfluous."""
    return max(0, base - KEPT_BEFORE)
