"""A change in parts: what every member of a team may see, and what is of one namespace (pure).

A part is named by its namespace. One has no name: rows that are of none. `WHOLE` names what is for
those who see everything, and for its writer: its audit chain. While all members see everything, a
change is one part, `UNDIVIDED`, which only they can write and read. No namespace can be called so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

#: The parts that are of no namespace.
TEAM, WHOLE, UNDIVIDED = "", "*whole", "*all"
#: The right to all namespaces.
ALL = "*"


@dataclass(frozen=True, slots=True)
class ChangePart:
    """The rows of a change that are of one namespace, as SQLite's changeset."""

    name: str
    changes: bytes


@dataclass(frozen=True, slots=True)
class PartedChange:
    """A change as its writer hands it over.

    Attributes:
        parts: each name once; the one without a name is always there, and the first, unless all
            of it is undivided.
        marks: by table, the highest number that the change gave to a row: who does not see the row
            gives the number to no other.
        purges: it removes entries for good.
        schema: the one that a node has to know to apply it.
        nonce: drawn by the writer, who notes it before the answer comes; empty: by the replicator.
        ahead: its writer knows what to do with a turn that is given ahead.
    """

    parts: tuple[ChangePart, ...]
    marks: Mapping[str, int] = field(default_factory=dict)
    purges: bool = False
    schema: int = 0
    nonce: bytes = b""
    ahead: bool = False

    @property
    def undivided(self) -> bool:
        """Whether it is in one part."""
        return self.parts[0].name == UNDIVIDED

    def encode(self) -> bytes:
        """Return it as bytes."""
        told = {
            "parts": [(part.name, len(part.changes)) for part in self.parts],
            "marks": dict(self.marks),
            "purges": self.purges,
            "schema": self.schema,
            "nonce": self.nonce.hex(),
            "ahead": self.ahead,
        }
        head = json.dumps(told).encode()
        return b"%d\n%s" % (len(head), head) + b"".join(part.changes for part in self.parts)

    @staticmethod
    def decode(data: bytes) -> PartedChange:
        """Return what was encoded.

        Raises:
            ValueError: these are no such bytes.
        """
        size, found, rest = data.partition(b"\n")
        if not found or not size.isdigit():
            raise ValueError("a change without its parts")
        told = json.loads(rest[: int(size)])
        at, parts = int(size), []
        for name, length in told["parts"]:
            parts.append(ChangePart(str(name), rest[at : at + length]))
            at += length
        if at != len(rest):
            raise ValueError(f"a change of {len(rest)} bytes, of which {at} are in parts")
        purges, schema = bool(told["purges"]), int(told["schema"])
        nonce = bytes.fromhex(told.get("nonce", ""))
        ahead = bool(told.get("ahead", False))
        return PartedChange(tuple(parts), told["marks"], purges, schema, nonce, ahead)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a member of a team may see: these namespaces, or all of them.

    Attributes:
        member: the database role that the node connects as.
        namespaces: sorted; `ALL` alone for who sees everything.
    """

    member: str = ""
    namespaces: tuple[str, ...] = (ALL,)

    @property
    def full(self) -> bool:
        """Whether nothing is hidden."""
        return ALL in self.namespaces

    def see(self, part: str) -> bool:
        """Return whether a part is one that they see."""
        return self.full or part == TEAM or part in self.namespaces
