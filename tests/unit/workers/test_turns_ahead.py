"""A turn that is given ahead: who has it, what it may do, and how it comes to an end."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from khive_workers.replicator import writers as writers_module
from khive_workers.replicator.serving import TurnServer
from khive_workers.replicator.turn import ServedTurn
from khive_workers.replicator.writers import WriterConnection, Writers
from khive_workers.team.server import LockedHead, ServerAway

from khive_supervisor.errors import OutcomeUnknown, TeamAway
from khive_supervisor.sqlite.team.taken_mark import TakenMark, opened, taken_file
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.team.messages import (
    MessageKind,
    MessageReader,
    TurnMessage,
    accepted_ahead,
    numbered,
)
from khive_supervisor.team.order import LoggedChange, LogPosition
from khive_supervisor.team.parts import TEAM, UNDIVIDED, ChangePart, PartedChange

FAR = 60.0
CHANGE = PartedChange((ChangePart(UNDIVIDED, b"rows"),), nonce=b"n" * 16, schema=15, ahead=True)


class Session:
    """A writing process's end of a connection."""

    def __init__(self, writers: Writers, selector: selectors.BaseSelector) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(60)
        self.connection = WriterConnection(theirs)
        connection = self.connection
        writers._connected.add(connection)
        selector.register(
            connection,
            selectors.EVENT_READ,
            lambda: writers.take(connection, alive=connection.read()),
        )
        self._reader = MessageReader()

    def say(self, kind: MessageKind, body: bytes = b"") -> None:
        self.sock.sendall(TurnMessage(kind, body).encode())

    def heard(self) -> list[TurnMessage]:
        """What has been said to it by now."""
        self.sock.setblocking(False)
        found: list[TurnMessage] = []
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except BlockingIOError:
                return found
            if not data:
                return found
            found += self._reader.feed(data)


@dataclass
class Server:
    """What a turn asks of a connection to a server."""

    number: int = 7
    newer: list[LoggedChange] = field(default_factory=list)
    undivided: bool = True
    in_turn: bool = True
    lost: bool = False
    appended: list[LoggedChange] = field(default_factory=list)
    rolled_back: int = 0

    def lock(self, number: int) -> LockedHead:
        if self.lost:
            raise ServerAway("It is gone.")
        return LockedHead(self.number, b"there", self.newer, self.undivided)

    def receive_lock(self) -> None:
        if self.lost:
            raise ServerAway("It is gone.")

    def check(self) -> None:
        if self.lost:
            raise ServerAway("It is gone.")

    def append(self, node: str, change: LoggedChange, *, again: bool) -> None:
        self.appended.append(change)
        self.number, self.in_turn = change.number, again

    def roll_back(self) -> None:
        self.rolled_back += 1
        self.in_turn = False


class Host:
    """A replicator without a replica."""

    node = "n1"
    undivided = True

    def __init__(self, server: Server) -> None:
        self.found = server
        self.settled = 0
        self.errors: list[str] = []

    def server(self) -> Server:
        return self.found

    def server_again(self, patience: float) -> None:
        return None

    def position(self) -> LogPosition:
        return LogPosition(self.found.number, b"there")

    expected = position

    def settle(self, newer: list[LoggedChange]) -> LogPosition:
        self.settled += 1
        return self.position()

    def note_undivided(self, undivided: bool) -> None:
        self.undivided = undivided

    def accepted(self, position: LogPosition) -> None:
        assert position.number == self.found.number

    def failed(self, error: Exception) -> None:
        self.errors.append(str(error))

    def problem(self) -> str:
        return "it is away"

    def another_waits(self) -> bool:
        return False

    def give_ahead(self, writer: WriterConnection, position: LogPosition) -> float | None:
        return None


@dataclass
class Node:
    """Writers of a node, and what they are served by."""

    selector: selectors.BaseSelector
    writers: Writers
    host: Host
    mark: TakenMark
    turns: TurnServer

    sessions: list[Session] = field(default_factory=list)

    def session(self) -> Session:
        self.sessions.append(Session(self.writers, self.selector))
        return self.sessions[-1]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with selectors.DefaultSelector() as selector:
        writers, host = Writers(selector), Host(Server())
        mark = TakenMark(str(tmp_path / "mark"), make=True)
        turns = TurnServer(host, writers, mark)  # type: ignore[arg-type]  # what is asked of it
        found = Node(selector, writers, host, mark, turns)
        yield found
        for session in found.sessions:
            session.sock.close()
        writers.close()
        mark.close()


def is_late() -> float:
    return time.monotonic() - 1


def test_who_has_taken_it_comes_before_those_that_asked_sooner(node: Node) -> None:
    first, promised = node.session(), node.session()
    first.say(MessageKind.TAKE)
    promised.say(MessageKind.CHANGES, CHANGE.encode())
    node.writers.keep_for(promised.connection, time.monotonic() + FAR, lambda: False)
    assert list(node.writers.asking) == [promised.connection, first.connection]
    assert promised.connection.ahead
    assert not first.connection.ahead


def test_who_has_marked_it_is_waited_for_beyond_the_moment(node: Node) -> None:
    promised = node.session()
    asked: list[bool] = []

    def taken() -> bool:
        asked.append(True)
        threading.Thread(target=promised.say, args=(MessageKind.GIVE_BACK,)).start()
        return True

    node.writers.keep_for(promised.connection, is_late(), taken)
    assert asked
    assert list(node.writers.asking) == [promised.connection]


def test_who_has_not_marked_it_has_lost_it_and_asks_as_usual(node: Node) -> None:
    promised, other = node.session(), node.session()
    node.writers.keep_for(promised.connection, is_late(), lambda: False)
    assert not node.writers.asking
    other.say(MessageKind.TAKE)
    promised.say(MessageKind.TAKE)
    node.writers.take_arrived()
    assert set(node.writers.asking) == {other.connection, promised.connection}
    assert not promised.connection.ahead


def test_who_hands_over_what_it_has_no_turn_for_is_shut_out(node: Node) -> None:
    promised = node.session()
    node.writers.keep_for(promised.connection, is_late(), lambda: False)
    promised.say(MessageKind.CHANGES, CHANGE.encode())
    node.writers.take_arrived()
    assert not node.writers.asking
    assert len(node.writers) == 0


def test_what_was_sent_in_time_is_seen_however_late_the_replicator_is(node: Node) -> None:
    promised = node.session()
    promised.say(MessageKind.CHANGES, CHANGE.encode())
    node.writers.keep_for(promised.connection, is_late(), lambda: False)
    assert list(node.writers.asking) == [promised.connection]


def test_a_dead_writer_is_not_waited_for(node: Node) -> None:
    promised = node.session()
    promised.sock.close()
    node.writers.keep_for(promised.connection, time.monotonic() + FAR, lambda: True)
    assert not node.writers.asking
    assert len(node.writers) == 0


def test_a_writer_that_has_it_for_too_long_loses_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers_module, "LONGEST_TURN", 0.01)
    promised = node.session()
    node.writers.keep_for(promised.connection, time.monotonic(), lambda: True)
    assert len(node.writers) == 0
    assert promised.sock.recv(1) == b""


PARTED = PartedChange((ChangePart(TEAM, b"rows"),), nonce=b"n" * 16, schema=15, ahead=True)


def serve(node: Node, session: Session, *handed: PartedChange) -> list[MessageKind]:
    """Serve a turn that was taken ahead; return what its writer is told."""
    connection = session.connection
    connection.ahead = True
    for change in handed or (CHANGE,):
        session.say(MessageKind.CHANGES, change.encode())
    ServedTurn(node.host, node.host, connection).serve()  # type: ignore[arg-type]  # what is asked of it
    return [message.kind for message in session.heard()]


def test_a_turn_that_was_taken_ahead_is_not_granted_again(node: Node) -> None:
    assert serve(node, node.session()) == [MessageKind.ACCEPTED]
    assert [change.number for change in node.host.found.appended] == [8]
    assert node.host.settled == 0


@pytest.mark.parametrize(
    "server",
    [
        Server(newer=[LoggedChange(8, 15, ())]),
        Server(lost=True),
    ],
    ids=["others have written", "the server is away"],
)
def test_a_turn_that_was_taken_ahead_is_refused_when_it_is_not_what_was_given(
    node: Node, server: Server
) -> None:
    node.host.found = server
    assert serve(node, node.session()) == [MessageKind.REFUSED]
    assert not server.appended
    assert server.rolled_back == 1
    assert node.host.settled == 0


def test_what_is_undivided_is_asked_for_in_parts_when_rights_have_changed(node: Node) -> None:
    node.host.found.undivided = False
    told = serve(node, node.session(), CHANGE, PARTED)
    assert told == [MessageKind.DIVIDE, MessageKind.ACCEPTED]
    assert [change.parts for change in node.host.found.appended] == [PARTED.parts]
    assert serve(node, node.session(), PARTED) == [MessageKind.ACCEPTED]


def give(node: Node, session: Session) -> float | None:
    return node.turns.give_ahead(session.connection, LogPosition(8))


def test_it_is_given_in_a_series_of_one_writer_only(node: Node) -> None:
    one, two = node.session(), node.session()
    assert give(node, one) is None
    node.turns._in_series = True
    assert give(node, one) is not None
    assert give(node, two) is None
    assert give(node, two) is not None
    one.say(MessageKind.TAKE)
    node.writers.take_arrived()
    assert give(node, two) is None
    node.writers.asking.clear()
    node.host.found.undivided = False
    assert give(node, two) is None
    node.host.found.undivided, node.host.undivided = True, False
    assert give(node, two) is None
    node.host.undivided, node.host.found.in_turn = True, False
    assert give(node, two) is None


class Replicator:
    """A replicator's end of a client's connection: it answers what it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = str(path / "turns")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self.mark = TakenMark(taken_file(self.path), make=True)
        self._reader = MessageReader()
        self._sock: socket.socket | None = None

    def answer(self, message: TurnMessage) -> None:
        """Have a connection that has come be told this."""
        if self._sock is None:
            self._sock, _ = self._listening.accept()
        self._sock.sendall(message.encode())

    def heard(self) -> list[MessageKind]:
        """What has been said by now, after a first word."""
        assert self._sock is not None
        self._sock.settimeout(60)
        return [one.kind for one in self._reader.feed(self._sock.recv(1 << 16))]

    def hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def close(self) -> None:
        self.hang_up()
        self._listening.close()
        self.mark.close()


@pytest.fixture
def replicator(tmp_path: Path) -> Iterator[Replicator]:
    found = Replicator(tmp_path)
    yield found
    found.close()


def written_once(replicator: Replicator, *, ahead: float) -> TurnClient:
    """Return a client whose change 8 was accepted, and that was given the next turn ahead."""
    client = TurnClient(replicator.path, 5.0)
    client._connect()
    replicator.answer(numbered(MessageKind.GRANTED, LogPosition(7, b"seven")))
    assert client.take() == LogPosition(7, b"seven")
    client.hand_over(CHANGE)
    replicator.answer(accepted_ahead(LogPosition(8, b"eight"), time.monotonic() + ahead))
    assert client.accepted() == LogPosition(8, b"eight")
    kinds = replicator.heard()
    assert kinds[0] is MessageKind.TAKE
    return client


def test_a_client_takes_it_by_the_mark_and_without_a_word(replicator: Replicator) -> None:
    client = written_once(replicator, ahead=FAR)
    assert replicator.mark.get() == -1
    assert client.take() == LogPosition(8, b"eight")
    assert replicator.mark.get() == 8
    replicator.answer(numbered(MessageKind.ACCEPTED, LogPosition(9, b"nine")))
    client.hand_over(CHANGE)
    assert client.accepted() == LogPosition(9, b"nine")
    replicator.answer(numbered(MessageKind.GRANTED, LogPosition(9, b"nine")))
    assert client.take() == LogPosition(9, b"nine")
    assert replicator.mark.get() == 8
    client.close()


def test_a_client_that_is_late_asks(replicator: Replicator) -> None:
    client = written_once(replicator, ahead=-1.0)
    replicator.answer(numbered(MessageKind.GRANTED, LogPosition(30, b"x")))
    assert client.take() == LogPosition(30, b"x")
    assert replicator.mark.get() == -1
    client.close()


def test_nothing_was_written_when_the_replicator_had_ended_before_the_changes(
    replicator: Replicator,
) -> None:
    client = written_once(replicator, ahead=FAR)
    client.take()
    replicator.hang_up()
    with pytest.raises(TeamAway, match="Nothing was written"):
        client.hand_over(CHANGE)
    client.close()


def test_nobody_knows_when_it_ends_after_the_changes(replicator: Replicator) -> None:
    client = written_once(replicator, ahead=FAR)
    client.take()
    client.hand_over(CHANGE)
    replicator.hang_up()
    with pytest.raises(OutcomeUnknown, match="may or may not"):
        client.accepted()
    client.close()


def test_a_client_hands_over_in_parts_what_it_is_asked_for_so(replicator: Replicator) -> None:
    client = written_once(replicator, ahead=FAR)
    client.take()
    client.hand_over(CHANGE)
    replicator.answer(TurnMessage(MessageKind.DIVIDE))

    def divided() -> PartedChange:
        replicator.answer(numbered(MessageKind.ACCEPTED, LogPosition(9, b"nine")))
        return PARTED

    assert client.accepted(divided) == LogPosition(9, b"nine")
    client.close()


def test_a_replicator_of_an_earlier_release_has_no_mark(tmp_path: Path) -> None:
    assert opened(str(tmp_path / "none")) is None
    (tmp_path / "empty").touch()
    assert opened(str(tmp_path / "empty")) is None


def test_a_change_says_whether_its_writer_takes_turns_ahead() -> None:
    assert PartedChange.decode(CHANGE.encode()) == CHANGE
    earlier = CHANGE.encode().replace(b', "ahead": true', b"")
    size, _, rest = earlier.partition(b"\n")
    shorter = b"%d\n%s" % (int(size) - len(b', "ahead": true'), rest)
    assert not PartedChange.decode(shorter).ahead
