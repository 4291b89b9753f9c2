"""What a writer is told whose replicator refuses, or ends, while it is in a turn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from khive_supervisor.errors import OutcomeUnknown, StoreError, StoreUnavailable, TeamAway
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.team.messages import (
    MessageKind,
    MessageReader,
    TurnMessage,
    TurnRefusal,
    numbered,
    refused,
)
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import PartedChange

GRANTED = numbered(MessageKind.GRANTED, LogPosition(7, b"n"))
LATE = refused(TurnRefusal("This took longer than 15 s: nothing was stored.", "Try again."))
UNKNOWN = refused(TurnRefusal("It may or may not be stored.", "Look.", unknown=True))
AWAY = refused(TurnRefusal("It is away.", "Try again.", away=True))


class Replicator:
    """Answers each message with what it is given, and ends."""

    def __init__(self, path: str, answers: tuple[list[TurnMessage], ...]) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[list[TurnMessage], ...]) -> None:
        sock, _ = self._listening.accept()
        reader = MessageReader()
        with sock:
            for several in answers:
                while not reader.feed(sock.recv(1 << 16)):
                    pass
                for one in several:
                    sock.sendall(one.encode())

    def ended(self) -> None:
        """Wait until it has closed its connection."""
        self._thread.join(60)
        self._listening.close()


@contextmanager
def in_a_turn(short: Path, *answers: list[TurnMessage]) -> Iterator[tuple[TurnClient, Replicator]]:
    """Give a writer that has the turn."""
    path = str(short / "team")
    replicator = Replicator(path, ([GRANTED], *answers))
    client = TurnClient(path, 5.0)
    try:
        assert client.take().number == 7
        yield client, replicator
    finally:
        client.close()
        replicator.ended()


def test_what_was_not_handed_over_is_not_stored(short: Path) -> None:
    with in_a_turn(short) as (client, replicator):
        replicator.ended()
        with pytest.raises(TeamAway, match="Nothing was written"):
            client.hand_over(PartedChange(()))


def test_whoever_was_too_slow_hears_that(short: Path) -> None:
    path = str(short / "team")
    # The refusal comes after the grant, unasked, and before the end.
    replicator = Replicator(path, ([GRANTED], [LATE]))
    client = TurnClient(path, 5.0)
    client.take()
    client.give_back()  # what it answers to is not looked at
    replicator.ended()
    with pytest.raises(StoreUnavailable, match="longer than 15 s") as said:
        client.hand_over(PartedChange(()))
    assert not isinstance(said.value, TeamAway | OutcomeUnknown)
    client.close()


def test_what_was_handed_over_and_not_answered_nobody_knows_of(short: Path) -> None:
    with in_a_turn(short, []) as (client, _):
        client.hand_over(PartedChange(()))
        with pytest.raises(OutcomeUnknown, match="may or may not"):
            client.accepted()


@pytest.mark.parametrize(
    ("refusal", "error"), [(UNKNOWN, OutcomeUnknown), (AWAY, TeamAway), (LATE, StoreUnavailable)]
)
def test_a_refusal_says_what_became_of_a_change(
    short: Path, refusal: TurnMessage, error: type[StoreError]
) -> None:
    with in_a_turn(short, [refusal]) as (client, _):
        client.hand_over(PartedChange(()))
        with pytest.raises(StoreUnavailable) as said:
            client.accepted()
        assert type(said.value) is error


@pytest.mark.parametrize(("number", "has"), [(7, True), (0, False)])
def test_whether_a_change_is_stored_is_answered_by_a_number(
    short: Path, number: int, has: bool
) -> None:
    found = numbered(MessageKind.FOUND, LogPosition(number))
    with in_a_turn(short, [found]) as (client, _):
        assert client.has(LogPosition(7, b"n")) is has


def test_what_the_log_has_forgotten_is_no_reason_to_ask_again(short: Path) -> None:
    with in_a_turn(short, [UNKNOWN]) as (client, _), pytest.raises(StoreError) as said:
        client.has(LogPosition(7, b"n"))
    assert not said.value.retryable
