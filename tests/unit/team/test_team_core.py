"""The pure part of a team: addresses, messages, order, the clock, and a turn's states."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.team import turns
from khive_supervisor.team.address import ServerAddress, address_of, replica_path
from khive_supervisor.team.clock import DRIFT, Sample, ServerClock
from khive_supervisor.team.messages import (
    Garbled,
    MessageKind,
    MessageReader,
    TurnMessage,
    TurnRefusal,
    numbered,
    refused,
)
from khive_supervisor.team.order import (
    LoggedChange,
    LogPosition,
    OutOfOrder,
    SchemaAhead,
    WritesLost,
    base_is_due,
    check_head,
    following,
)
from khive_supervisor.team.turns import TurnAction, TurnEvent, TurnState


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://ada@db/khive", ServerAddress("postgresql://ada@db/khive")),
        ("postgresql://ada:s%40fe@db/khive", ServerAddress("postgresql://ada@db/khive", "s@fe")),
        (
            "postgres://a:x@one:1,two:2/k?target_session_attrs=read-write",
            ServerAddress("postgres://a@one:1,two:2/k?target_session_attrs=read-write", "x"),
        ),
        (
            "postgresql:///k?user=a&password=x%20y&sslmode=require",
            ServerAddress("postgresql:///k?user=a&sslmode=require", "x y"),
        ),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, found: ServerAddress) -> None:
    assert address_of(url) == found


@pytest.mark.parametrize("url", ["", "db", "mysql://a:secret@b/c", "postgresqls://a:secret@b"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as error:
        address_of(url)
    assert "secret" not in str(error.value)


def test_a_replica_lies_in_a_directory_of_its_own_for_each_server() -> None:
    one = replica_path("/data/khive.db", "postgresql://a/k")
    assert one.startswith("/data/team-")
    assert replica_path(one, "postgresql://a/k") == one
    assert replica_path("/data/khive.db", "postgresql://b/k") != one


_MESSAGES = st.lists(st.builds(TurnMessage, st.sampled_from(MessageKind), st.binary(max_size=300)))


@given(_MESSAGES, st.integers(1, 50))
def test_messages_arrive_as_they_were_sent_however_they_are_cut(
    sent: list[TurnMessage], size: int
) -> None:
    data = b"".join(message.encode() for message in sent)
    reader, got = MessageReader(), list[TurnMessage]()
    for start in range(0, len(data), size):
        got += reader.feed(data[start : start + size])
    assert got == sent


@pytest.mark.parametrize("data", [b"\0\0\0\0\1", b"\0\0\0\1\x63", b"\xff\xff\xff\xff\1"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(Garbled):
        MessageReader().feed(data)


def test_numbers_and_refusals_are_read_as_they_were_written() -> None:
    position = LogPosition(12, b"\0\xff")
    assert numbered(MessageKind.ACCEPTED, position).position == position
    assert refused(TurnRefusal("why", "hint")).refusal == TurnRefusal("why", "hint")


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_only_what_follows_without_a_hole_is_applied(position: int, first: int, count: int) -> None:
    changes = [LoggedChange(first + number, 1, ()) for number in range(count)]
    newer = [change for change in changes if change.number > position]
    if newer and newer[0].number != position + 1:
        with pytest.raises(OutOfOrder, match=r"missing|begins at"):
            following(position, changes, 1)
    else:
        assert following(position, changes, 1) == newer


def test_a_later_releases_change_and_a_server_that_lost_some_are_told() -> None:
    with pytest.raises(SchemaAhead, match="upgrade"):
        following(0, [LoggedChange(1, 9, ())], 8)
    with pytest.raises(OutOfOrder, match="3 acknowledged writes"):
        check_head(LogPosition(10), 7, None)
    with pytest.raises(WritesLost, match="another one"):
        check_head(LogPosition(7, b"a"), 9, b"b")
    check_head(LogPosition(7, b"a"), 7, b"a")
    check_head(LogPosition(7, b"a"), 9, None)
    assert (base_is_due(10, 9), base_is_due(10**6, 9)) == (False, True)


@given(st.floats(-4000, 4000), st.lists(st.floats(0, 0.4), min_size=3, max_size=9))
def test_the_servers_clock_is_found_whatever_ours_says(ahead: float, trips: list[float]) -> None:
    clock = ServerClock()
    found = [
        clock.take(Sample(100.0 + n, 100.0 + n + trip, 100.0 + n + trip / 2 + ahead))
        for n, trip in enumerate(trips)
    ]
    assert found[0] == pytest.approx(ahead, abs=1e-6)
    assert found[1:] == [None] * (len(trips) - 1), "what has not drifted is not written again"
    moved = [clock.take(Sample(0.0, 0.0, ahead + 2 * DRIFT)) for _ in range(9)]
    assert [one for one in moved if one is not None]


def test_a_look_that_took_long_does_not_move_the_clock() -> None:
    clock = ServerClock(written=50.0)
    # Three seconds, all of them on the way back: half of them are an error.
    assert clock.take(Sample(100.0, 103.0, 150.0)) is None
    assert clock.take(Sample(104.0, 104.001, 154.0005)) is None
    assert clock.take(Sample(105.0, 108.0, 158.5)) is None
    fresh = ServerClock()
    assert fresh.take(Sample(100.0, 103.0, 150.0)) == pytest.approx(48.5)
    assert fresh.take(Sample(104.0, 104.001, 154.0005)) == pytest.approx(50.0)


# --- a turn's states ------------------------------------------------------------------------------

_OF_SERVER = {
    TurnAction.LOCK: (TurnEvent.LOCKED, TurnEvent.UNAVAILABLE),
    TurnAction.GRANT: (TurnEvent.CHANGES, TurnEvent.GIVEN_BACK, TurnEvent.GONE, TurnEvent.LATE),
    TurnAction.COMMIT: (TurnEvent.COMMITTED, TurnEvent.UNAVAILABLE, TurnEvent.LOST),
    TurnAction.LOOK: (TurnEvent.FOUND, TurnEvent.MISSING, TurnEvent.UNKNOWN),
}


@given(st.data())
def test_a_turn_ends_and_says_only_what_is_so(data: st.DataObject) -> None:
    """The log holds the changes if the writer is told so; else it does not, or nobody knows."""
    (state, action), stored = turns.FIRST, False
    for _ in range(5):
        if state is TurnState.OVER:
            break
        event = data.draw(st.sampled_from(_OF_SERVER[action]))
        if event in (TurnEvent.COMMITTED, TurnEvent.FOUND):
            stored = True
        state, action = turns.step(state, event)
    assert state is TurnState.OVER
    assert (action is TurnAction.TELL_ACCEPTED) == stored
    assert (action in turns.RELEASING) == (not stored)


def test_every_state_is_reached_and_left_and_nothing_else_happens() -> None:
    reached = {after for after, _ in turns.TRANSITIONS.values()} | {turns.FIRST[0]}
    left = {before for before, _ in turns.TRANSITIONS}
    assert reached == set(TurnState)
    assert left == set(TurnState) - {TurnState.OVER}
    with pytest.raises(AssertionError, match="cannot be"):
        turns.step(TurnState.HELD, TurnEvent.FOUND)
