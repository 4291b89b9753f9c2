"""What the process that moves stores tells whoever has started it, line by line (pure)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NotRequired, TypedDict

from khive_supervisor.text.plain_json import JsonObject


class Compared(TypedDict):
    """Rows that were compared on both sides, and in how many tables."""

    rows: int
    tables: int


class Member(TypedDict):
    """A database role that is a member of a team: what it may see, and the nodes it connects."""

    name: str
    namespaces: list[str]
    nodes: list[str]


class PublishedHeadRow(TypedDict):
    """A head of an audit chain, as it is printed, and the change of the log that it was at."""

    head: str
    number: int


class PurgeOfTeam(TypedDict):
    """A purge in a team: its change, where and by whom; `server`: whether that has nothing left.

    `confirmed` and `waiting` are nodes whose machines have nothing left, and those that may have.
    """

    number: int
    node: str
    member: str
    at: str
    server: bool
    confirmed: list[str]
    waiting: list[str]


class Moved(TypedDict):
    """What came of a move, a join or a look before one."""

    server: str
    entries: int
    number: int
    compared: NotRequired[Compared]
    bytes: NotRequired[int]
    file: NotRequired[str]
    node: NotRequired[str]
    #: The role that owns the team's tables, and those that have rights.
    owner: NotRequired[str]
    members: NotRequired[list[Member]]
    purges: NotRequired[list[PurgeOfTeam]]
    #: What stands in the way of a move that is only looked at.
    problems: NotRequired[list[str]]
    #: Statements that would allow what is not; tables that only their owner can make.
    grants: NotRequired[list[str]]
    missing: NotRequired[list[str]]
    #: How long a round trip took; connections that there are, and how many there can be.
    milliseconds: NotRequired[float]
    connections: NotRequired[list[int]]
    #: The role and the process at the server that keep the turn to write; none: nobody does.
    turn_held_by: NotRequired[list[str]]
    #: Heads that nodes have published.
    heads: NotRequired[list[PublishedHeadRow]]


@dataclass(frozen=True, slots=True)
class MoveStep:
    """What is being done, and how far that is."""

    step: str
    done: int
    total: int

    def encode(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self)) + "\n"


def line_of(result: Moved) -> str:
    """Return what came of it as a line."""
    return json.dumps({"result": result}) + "\n"


def parse(line: str) -> MoveStep | Moved:
    """Return what a line says.

    Raises:
        ValueError: it is none of these.
    """
    said: JsonObject = json.loads(line)
    if "result" in said:
        found: Moved = said["result"]
        return found
    try:
        return MoveStep(str(said["step"]), int(said["done"]), int(said["total"]))
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from None
