"""A writing process's connection to its node's replicator."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from khive_supervisor.control.client import check_peer
from khive_supervisor.errors import OutcomeUnknown, StoreError, StoreUnavailable, TeamAway
from khive_supervisor.host import paths
from khive_supervisor.sqlite.team import taken_mark
from khive_supervisor.sqlite.team.taken_mark import TakenMark
from khive_supervisor.team.messages import (
    Garbled,
    MessageKind,
    MessageReader,
    TurnMessage,
    TurnRefusal,
    numbered,
)
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import PartedChange

#: Seconds that a replicator may take to accept a connection, and beyond its own waiting to answer.
CONNECT_DEADLINE, ANSWER_GRACE = 2.0, 10.0
_RECEIVE_BYTES = 1 << 16
_HINT = "Reading goes on. Try again when `khive-supervisor status` shows the server as connected."


def turn_socket(store_path: str) -> str:
    """Return where the replicator of a replica listens."""
    named = os.path.realpath(store_path).encode("utf-8", "surrogateescape")
    return f"{paths.state_home()}/run/{paths.digest(named)}.team"


def turn_files(store_path: str) -> tuple[str, str]:
    """Return the files of a replica's replicator: its socket, and the mark beside that."""
    path = turn_socket(store_path)
    return path, taken_mark.taken_file(path)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The turn that was given ahead: how far the replica is then, and until when to take it."""

    position: LogPosition
    until: float


class TurnClient:
    """Takes turns; used by one thread at a time."""

    def __init__(self, path: str, patience: float) -> None:
        self._path = path
        self._deadline = patience + ANSWER_GRACE
        self._sock: socket.socket | None = None
        self._reader = MessageReader()
        self._mark: TakenMark | None = None
        self._ahead: _Ahead | None = None

    def take(self) -> LogPosition:
        """Take the turn; return how far the replica has come.

        It is waited for, unless it was given ahead with the change before.

        Raises:
            TeamAway: it is not to be had now.
        """
        if (position := self._taken_ahead()) is not None:
            return position
        kept = self._sock is not None
        try:
            return self._asked()
        except ConnectionError:
            self.close()
            if kept:  # that one was of a replicator which has ended since
                with contextlib.suppress(ConnectionError):
                    return self._asked()
            raise _away("no replicator is running") from None

    def _taken_ahead(self) -> LogPosition | None:
        """Take the turn that was given ahead, if that is in time; return how far the replica is.

        The replicator looks for the mark when that time is over: what was marked before is there.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is None or self._mark is None or time.monotonic() >= ahead.until:
            return None
        self._mark.set(ahead.position.number)
        return ahead.position if time.monotonic() < ahead.until else None

    @property
    def takes_ahead(self) -> bool:
        """Whether a turn may be given ahead: there is a mark to take it by."""
        return self._mark is not None

    def _asked(self) -> LogPosition:
        answer = self._exchange(TurnMessage(MessageKind.TAKE))
        return self._position(answer, MessageKind.GRANTED)

    def catch_up(self) -> None:
        """Wait until the replica holds the newest change that the server had when this was asked.

        Raises:
            TeamAway: that is not to be had now.
        """
        self._asked_again(TurnMessage(MessageKind.CATCH_UP), MessageKind.CAUGHT_UP)

    def has(self, change: LogPosition) -> bool:
        """Return whether the team's log has a change that nobody knew to be accepted.

        What it has not it will never have.

        Raises:
            TeamAway: that cannot be asked now.
            StoreError: the log does not go back so far.
        """
        try:
            found = self._asked_again(numbered(MessageKind.FIND, change), MessageKind.FOUND)
        except OutcomeUnknown as error:
            raise StoreError(error.message, hint=error.hint) from None
        return found.number > 0

    def _asked_again(self, message: TurnMessage, expected: MessageKind) -> LogPosition:
        """Ask what may be asked twice, if the replicator ends before it answers."""
        for _ in range(2):
            try:
                return self._position(self._exchange(message), expected)
            except ConnectionError:
                self.close()
        raise _away("no replicator is running")

    def hand_over(self, change: PartedChange) -> None:
        """Have a change accepted: `accepted` has to follow. The turn is over then.

        Raises:
            TeamAway: the replicator has ended before it had all of it.
            StoreUnavailable: the turn was over already.
        """
        try:
            self._send(TurnMessage(MessageKind.CHANGES, change.encode()))
        except TimeoutError:
            self.close()
            raise _away("the replicator does not read") from None
        except ConnectionError:
            try:  # it may have said why before it has closed the connection
                self._position(self._received(), MessageKind.ACCEPTED)
            except (ConnectionError, TimeoutError):
                pass
            finally:
                self.close()
            raise _away("the replicator has ended, or has let go of the turn") from None

    def accepted(self, divided: Callable[[], PartedChange] | None = None) -> LogPosition:
        """Return the number and the nonce of what was handed over.

        `divided` gives it in parts: a turn that was given ahead may have come to need them.

        Raises:
            TeamAway: it was not accepted, since the server was lost.
            OutcomeUnknown: nobody knows whether it was.
            StoreUnavailable: it was refused.
        """
        answer = self._answer()
        if answer.kind is MessageKind.DIVIDE and divided is not None:
            self.hand_over(divided())
            answer = self._answer()
        if answer.kind is MessageKind.ACCEPTED_AHEAD:
            self._ahead = _Ahead(answer.position, answer.ahead_until)
            return answer.position
        return self._position(answer, MessageKind.ACCEPTED)

    def _answer(self) -> TurnMessage:
        try:
            return self._received()
        except (ConnectionError, TimeoutError):
            self.close()
            raise OutcomeUnknown(
                "The replicator ended while this was written: it may or may not have been stored.",
                hint="Look before you repeat it.",
            ) from None

    def give_back(self) -> None:
        """Let others have the turn; nothing was changed. Never raises."""
        if self._sock is not None:
            try:
                self._sock.sendall(TurnMessage(MessageKind.GIVE_BACK).encode())
            except OSError:
                self.close()  # which gives it back as well

    def close(self) -> None:
        """Close the connection; a turn that is held is given back by it."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
            self._reader = MessageReader()
        if self._mark is not None:
            self._mark.close()
        self._mark = self._ahead = None

    def _position(self, answer: TurnMessage, expected: MessageKind) -> LogPosition:
        if answer.kind is MessageKind.REFUSED:
            raise _refused(answer.refusal)
        if answer.kind is not expected:
            self.close()
            raise _away(f"the replicator answered {answer.kind.name}")
        return answer.position

    def _exchange(self, message: TurnMessage) -> TurnMessage:
        """Send a message and return its answer; ConnectionError at the other side's end."""
        try:
            self._send(message)
            return self._received()
        except TimeoutError:
            self.close()
            raise _away(f"the replicator did not answer for {self._deadline:g} s") from None

    def _send(self, message: TurnMessage) -> None:
        """Send a message; raises ConnectionError, TimeoutError."""
        sock = self._sock or self._connect()
        with _lost_or_late():
            sock.settimeout(self._deadline)
            sock.sendall(message.encode())

    def _received(self) -> TurnMessage:
        """Return the answer to what was sent; raises ConnectionError, TimeoutError."""
        sock, until = self._sock, time.monotonic() + self._deadline
        if sock is None:
            raise ConnectionResetError
        with _lost_or_late():
            while True:
                data = sock.recv(_RECEIVE_BYTES)
                if not data:
                    raise ConnectionResetError
                if found := self._reader.feed(data):
                    return found[0]
                sock.settimeout(max(0.001, until - time.monotonic()))

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_DEADLINE)
        try:
            sock.connect(self._path)
            check_peer(sock, self._path)
        except OSError as error:
            sock.close()
            raise ConnectionRefusedError(str(error)) from None
        self._sock = sock
        self._mark = taken_mark.opened(taken_mark.taken_file(self._path))
        return sock


@contextlib.contextmanager
def _lost_or_late() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except (Garbled, OSError) as error:
        raise ConnectionResetError(str(error)) from None


def _refused(said: TurnRefusal) -> StoreUnavailable:
    if said.unknown:
        return OutcomeUnknown(said.why, hint=said.hint)
    return (TeamAway if said.away else StoreUnavailable)(said.why, hint=said.hint)


def _away(why: str) -> TeamAway:
    return TeamAway(
        f"Nothing was written: the team's server cannot be asked now ({why}).", hint=_HINT
    )
