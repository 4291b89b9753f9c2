"""Turns that follow each other on a real server: in a row on one node, in line between nodes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from khive_workers.team import pipeline
from khive_workers.team.server import LockedHead, ServerAway, ServerRefuses, TeamServer
from test_team_replication import accepted_changes

from benchmarks.team.nodes import Node, Postgres, wait_until
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.store.model import NewEntry
from khive_supervisor.team.order import LoggedChange, LogPosition
from khive_supervisor.team.parts import TEAM, ChangePart, PartedChange


@pytest.fixture
def lines(server: Postgres, pair: list[Node]) -> Iterator[list[TeamServer]]:
    """Two connections, as the replicators of two nodes have them."""
    assert pair
    found = [TeamServer.connect(server.url, f"khive line{n}") for n in (1, 2)]
    yield found
    for one in found:
        one.close()


def change(number: int) -> LoggedChange:
    return LoggedChange(number, 14, (ChangePart(TEAM, b""),), os.urandom(16))


def waits(server: TeamServer) -> bool:
    rows = server.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    return bool(rows[0][0])


def test_a_row_of_turns_is_kept_from_others_until_it_is_over(lines: list[TeamServer]) -> None:
    ours, theirs = lines
    number = ours.lock(0).number
    given: list[LockedHead] = []
    other = threading.Thread(target=lambda: given.append(theirs.lock(number)))
    other.start()
    wait_until(lambda: waits(ours))
    ours.append("n1", change(number + 1), again=True)
    assert ours.lock(number + 1).number == number + 1
    assert not given
    ours.append("n1", change(number + 2))
    other.join(60)
    assert [one.number for one in given[0].newer] == [number + 1, number + 2]
    theirs.roll_back()
    assert ours.told() == number + 2


def test_a_change_that_fails_lets_go_and_leaves_the_connection_usable(
    lines: list[TeamServer],
) -> None:
    ours, theirs = lines
    number = ours.lock(0).number
    ours.append("n1", change(number + 1))
    for again in (False, True):
        assert ours.lock(number + 1).number == number + 1
        with pytest.raises(ServerRefuses, match="duplicate"):
            ours.append("n1", change(number + 1), again=again)
        assert theirs.lock(number + 1).number == number + 1
        theirs.roll_back()
    assert len(ours.newer(number)) == 1


def test_a_server_that_does_not_answer_is_given_up(
    lines: list[TeamServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = lines
    pid = int(ours.ask("SELECT pg_backend_pid()")[0][0])
    monkeypatch.setattr(pipeline, "ANSWER_DEADLINE", 0.2)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ServerAway, match="did not answer"):
            ours.lock(0)
        with pytest.raises(ServerAway):
            ours.look(0)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not waits(theirs))
    assert theirs.lock(0).number == 0
    theirs.roll_back()


def test_a_connection_that_was_lost_is_seen_before_a_change_is_sent(
    lines: list[TeamServer],
) -> None:
    ours, theirs = lines
    ours.lock(0)
    ours.check()
    pid = int(ours.ask("SELECT pg_backend_pid()")[0][0])
    theirs.ask("SELECT pg_terminate_backend(%s, 20000)", (pid,))
    with pytest.raises(ServerAway):
        ours.check()


def test_a_change_of_which_nobody_knows_is_looked_for(lines: list[TeamServer]) -> None:
    ours, theirs = lines
    number = ours.lock(0).number
    sent = change(number + 1)
    asked = LogPosition(number + 1, sent.nonce)
    ours.roll_back()
    assert theirs.has(asked) is False
    ours.lock(number)
    ours.append("n1", sent)
    assert theirs.has(asked) is True
    assert theirs.has(LogPosition(number + 1, os.urandom(16))) is False
    ours.ask("DELETE FROM khive.log WHERE number = %s", (number + 1,))
    assert theirs.has(asked) is None


def test_letting_go_of_a_turn_keeps_what_else_the_connection_has_locked(
    lines: list[TeamServer],
) -> None:
    ours, theirs = lines
    ours.ask("SELECT pg_advisory_lock(18, 18)")
    ours.lock(0)
    ours.roll_back()
    assert theirs.ask("SELECT pg_try_advisory_lock(18, 18)") == [(False,)]


def test_what_a_dead_writer_left_is_there_before_the_next_turn_in_a_row(pair: list[Node]) -> None:
    one, two = TurnClient(pair[0].turns, 5.0), TurnClient(pair[0].turns, 5.0)
    began = one.take()
    asked = threading.Thread(target=two.take)
    asked.start()
    one.hand_over(PartedChange((ChangePart(TEAM, accepted_changes()),)))
    one.accepted()
    one.close()
    asked.join(60)
    rows = "SELECT count(*) FROM source_runs WHERE run = 77"
    with pair[0].plain() as store:
        row = store.replica()
        assert row is not None
        assert (row.number, store.database.value(rows)) == (began.number + 1, 1)
    two.give_back()
    two.close()
    with pair[0].open() as store:
        store.entries.add([NewEntry("memory", "default", "semantic", "", "afterwards")])
