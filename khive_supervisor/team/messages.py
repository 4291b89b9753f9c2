"""What a process that writes and its node's replicator say to each other (pure).

A message is its length (4 bytes, big-endian, of what follows), its kind (1 byte) and its body. The
writer asks for the turn, and then either hands its changes over or gives the turn back. The
replicator answers the first with the number that the replica has come to, the second with the
number that the changes have got and their nonce; either with a refusal. Whoever closes the
connection has given the turn back. A reader that wants what all nodes have written asks for that,
and is answered once the replica holds it; one that does not know whether a change was accepted
asks whether the log has it.

A writer in the middle of several writes may be given the next turn ahead, with the answer to its
changes. It takes that one by a mark (`TakenMark`) before a moment of the machine's clock, without a
word, and hands its changes over or gives the turn back as usual.
"""

from __future__ import annotations

import enum
import json
import struct
from dataclasses import asdict, dataclass

from khive_supervisor.team.order import LogPosition

#: Bytes of the longest message: far above what one transaction changes.
LIMIT = 1 << 30
_HEAD = struct.Struct(">IB")


class MessageKind(enum.IntEnum):
    """What a message says."""

    #: From the writer: the body is empty, the changes, empty.
    TAKE = 1
    CHANGES = 2
    GIVE_BACK = 3
    #: From a reader: the replica is to have the newest change; the body is empty.
    CATCH_UP = 4
    #: Whether the log has a change: the body is its number.
    FIND = 5
    #: From the replicator: the body is a number, a number, a refusal, a number, a number (0: no).
    GRANTED = 17
    ACCEPTED = 18
    REFUSED = 19
    CAUGHT_UP = 20
    FOUND = 21
    #: As accepted, and the next turn is given ahead: the body is a number and a moment.
    ACCEPTED_AHEAD = 22
    #: The changes are to be handed over in parts: the team's rights are others since the turn was
    #: given ahead; the body is empty.
    DIVIDE = 23


class Garbled(ValueError):
    """What came is no message of this kind of connection."""


@dataclass(frozen=True, slots=True)
class TurnMessage:
    """One message; `number` and `refusal` read what the body says."""

    kind: MessageKind
    body: bytes = b""

    def encode(self) -> bytes:
        """Return it as it is sent."""
        return _HEAD.pack(len(self.body) + 1, self.kind) + self.body

    @property
    def position(self) -> LogPosition:
        """The number that a message carries, and the nonce of that change; raises ValueError."""
        number, nonce, *_ = self.body.split(b" ")
        return LogPosition(int(number), bytes.fromhex(nonce.decode("ascii")))

    @property
    def ahead_until(self) -> float:
        """Until when the turn may be taken that was given ahead, by the clock of `monotonic`."""
        return int(self.body.split(b" ")[2]) / 1e9

    @property
    def refusal(self) -> TurnRefusal:
        """Why the turn or the changes were refused."""
        said = json.loads(self.body)
        away, unknown = bool(said.get("away")), bool(said.get("unknown"))
        return TurnRefusal(str(said["why"]), str(said["hint"]), away, unknown)


@dataclass(frozen=True, slots=True)
class TurnRefusal:
    """Why something was not done, and what to do about it.

    `away`: nothing was stored, since the server cannot be asked now. `unknown`: nobody can say
    whether it was stored.
    """

    why: str
    hint: str
    away: bool = False
    unknown: bool = False


def numbered(kind: MessageKind, position: LogPosition) -> TurnMessage:
    """Return a message whose body is a position in the log."""
    return TurnMessage(kind, b"%d %s" % (position.number, position.nonce.hex().encode("ascii")))


def accepted_ahead(position: LogPosition, until: float) -> TurnMessage:
    """Return an acceptance with which the next turn is given, to be taken before a moment."""
    body = numbered(MessageKind.ACCEPTED, position).body
    return TurnMessage(MessageKind.ACCEPTED_AHEAD, b"%s %d" % (body, until * 1e9))


def refused(refusal: TurnRefusal) -> TurnMessage:
    """Return a refusal."""
    body = json.dumps(asdict(refusal)).encode()
    return TurnMessage(MessageKind.REFUSED, body)


class MessageReader:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[TurnMessage]:
        """Return the messages that are whole now.

        Raises:
            Garbled: the other side does not speak this.
        """
        self._rest += data
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> TurnMessage | None:
        if len(self._rest) < _HEAD.size:
            return None
        length, kind = _HEAD.unpack_from(self._rest)
        if not 0 < length <= LIMIT or kind not in iter(MessageKind):
            raise Garbled(f"a message of {length} bytes of the kind {kind}")
        if len(self._rest) < length + 4:
            return None
        body = bytes(self._rest[_HEAD.size : length + 4])
        del self._rest[: length + 4]
        return TurnMessage(MessageKind(kind), body)
