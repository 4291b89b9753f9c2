"""Writes that wait are applied when the server is back: each once, in their order."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
from waiting_support import (
    applier,
    apply_all,
    back,
    call,
    contents,
    session,
    waiting_file,
)

from benchmarks.team.nodes import Node, Postgres, wait_until
from khive_supervisor.errors import (
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    StoreUnavailable,
)
from khive_supervisor.sqlite.team import waiting as table
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.store.model import NewEntry
from khive_supervisor.team import waiting
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import PartedChange


def test_writes_wait_and_are_stored_in_order_when_the_server_is_back(
    server: Postgres, here: Node, both: list[Node]
) -> None:
    with session(here) as one, session(here, "two", client="codex") as two:
        server.stop()
        try:
            said = call(one, "memory.remember", content="order 1")
            assert (said["status"], said["waiting"]) == ("waiting", 1)
            assert "do not repeat it" in said["note"]
            call(two, "memory.remember", content="order 2", tags=["b"])
            assert (
                "behind 2 earlier ones" in call(one, "memory.remember", content="order 3")["note"]
            )
            with applier(here) as found:
                assert not found.run(), "the server is away still"
            standing = one.whole_store.waiting.standing()
            assert (standing.waiting, standing.aside) == (3, 0)
        finally:
            server.start()
        wait_until(lambda: reachable(here))
        assert call(one, "memory.remember", content="order 4")["waiting"] == 4
        assert apply_all(here) == (4, 0)
        assert apply_all(here) == (0, 0)
        assert call(one, "memory.remember", content="order 5")["status"] == "stored"
    stored = [f"order {n}" for n in range(1, 6)]
    assert contents(here, "order") == stored
    wait_until(lambda: contents(both[1], "order") == stored)
    with both[1].plain() as store:
        entries = store.entries.recent(limit=5)
        who = store.entries.provenances({one.provenance for one in entries if one.provenance})
    assert {(one.client, one.session, one.actor) for one in who.values()} == {
        ("claude", "one", "actor of one"),
        ("codex", "two", "actor of two"),
    }


def reachable(node: Node) -> bool:
    client = TurnClient(node.turns, 5.0)
    try:
        client.catch_up()
    except StoreUnavailable:
        return False
    finally:
        client.close()
    return True


def test_conflicts_are_decided_as_for_two_sessions(here: Node, both: list[Node]) -> None:
    with session(here) as one:
        ids = [call(one, "memory.remember", content=f"fact {n}")["id"] for n in range(3)]
        here.stop()
        for number, name in enumerate(ids):
            said = call(one, "memory.supersede", id=name, content=f"fact of mine {number}")
            assert said["status"] == "waiting"
        with pytest.raises(NotFound):
            call(one, "graph.link", **{"from": "m999", "to": ids[0], "kind": "same_as"})
        call(one, "memory.forget", ids=[ids[2]])
        with both[1].open() as other:
            other.catch_up()
            other.entries.forget([int(ids[0][1:])])
        back(here)
        assert apply_all(here) == (3, 1)
        (aside,) = one.whole_store.waiting.all()
        assert aside.said.verb == "memory.supersede"
        assert "no longer live" in aside.error
        assert contents(here, "fact") == ["fact of mine 1", "fact of mine 2"]
        again = one.whole_store.waiting.retry(aside.number)
        with pytest.raises(InvalidInput, match="was not put aside"):
            one.whole_store.waiting.retry(again)
        assert apply_all(here) == (0, 1)
        assert one.whole_store.waiting.drop(again).said == aside.said
        assert not one.whole_store.waiting.standing()


def test_a_call_that_was_applied_is_not_applied_again(away: Node) -> None:
    """Whoever applies may be killed after the server has it, before that is noted here."""
    with session(away) as one:
        for number in range(2):
            call(one, "memory.remember", content=f"once {number}")
        call(one, "brain.feedback", target="m1", signal="explicit_positive")
        with away.plain() as store:
            events = store.database.value("SELECT count(*) FROM profile_events")
        back(away)
        with applier(away) as found:
            found._apply(found._waiting.begin(3))
            call(one, "memory.remember", content="once 2")
        assert one.whole_store.waiting.standing().waiting == 4
    assert apply_all(away) == (4, 0)
    assert contents(away, "once") == ["once 0", "once 1", "once 2"]
    with away.plain() as store:
        assert store.database.value("SELECT count(*) FROM profile_events") == events + 1
        marks = store.database.rows("SELECT key FROM batches WHERE namespace = ''")
        assert len(marks) == 1


def test_one_that_ends_its_process_is_put_aside_in_the_end(away: Node) -> None:
    with session(away) as one:
        call(one, "memory.remember", content="deadly")
        call(one, "memory.remember", content="deadly not")
    back(away)
    with away.open() as store:
        for _ in range(waiting.MOST_ATTEMPTS):
            assert store.waiting.begin(9)[0].said.arguments == {"content": "deadly"}
    assert apply_all(away) == (1, 1)
    assert contents(away, "deadly") == ["deadly not"]


def test_a_replica_that_is_made_anew_keeps_what_waits(away: Node) -> None:
    with session(away) as one:
        call(one, "memory.remember", content="anew")
    for file in Path(away.config.store.path).parent.glob("khive.db*"):
        if file.is_file():
            file.unlink()
    away.join()
    back(away)
    assert apply_all(away) == (1, 0)
    assert contents(away, "anew") == ["anew"]


def test_a_call_counts_as_made_when_it_was_made(away: Node) -> None:
    with session(away) as one:
        call(one, "memory.remember", content="a minute ago", valid_from="1d")
    with apsw.Connection(str(waiting_file(away))) as connection:
        connection.execute("UPDATE calls SET since_boot = since_boot - 60, wall = 5")
    back(away)
    assert apply_all(away) == (1, 0)
    with away.plain() as store:
        found = store.entries.recent(limit=1000)
    (entry,) = [one for one in found if one.content == "a minute ago"]
    assert 55 < time.time() - entry.created_at < 300
    assert entry.valid_from is not None
    assert abs(entry.created_at - entry.valid_from - 86400) < 1


@pytest.mark.parametrize("stored", [True, False])
def test_what_the_server_was_lost_with_waits_and_is_stored_once(
    here: Node, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    text = f"unclear {stored}"
    with session(here) as one, lost_while_storing(monkeypatch, stored):
        said = call(one, "memory.remember", content=text)
        assert (said["status"], said["waiting"]) == ("waiting", 1)
        assert "was lost while this was stored" in said["note"]
        assert call(one, "memory.remember", content=f"{text} after")["waiting"] == 2
    assert apply_all(here) == (2, 0)
    assert contents(here, text) == [text, f"{text} after"]
    with here.plain() as store:
        sql = "SELECT count(*) FROM entries WHERE content = ?"
        assert store.database.value(sql, [text]) == 1


def test_what_nobody_knows_any_more_is_put_aside_and_may_be_tried_again(
    server: Postgres, here: Node, both: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(here) as one:
        with lost_while_storing(monkeypatch, stored=True):
            call(one, "memory.remember", content="forgotten by the log")
        with both[1].open() as other:
            other.entries.add([NewEntry("memory", "default", "semantic", "", "after it")])
        wait_until(lambda: contents(here, "after it"))
        with log_forgotten(server):
            assert apply_all(here) == (0, 1)
            (aside,) = one.whole_store.waiting.all()
            assert "It may be stored" in aside.error
            one.whole_store.waiting.retry(aside.number)
            assert apply_all(here) == (1, 0)
    assert contents(here, "forgotten") == ["forgotten by the log"]


def test_without_the_setting_one_hears_that_nobody_knows(
    here: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(here, away="refuse") as one, lost_while_storing(monkeypatch, stored=False):
        with pytest.raises(OutcomeUnknown, match="may or may not") as said:
            call(one, "memory.remember", content="heard of")
        assert not said.value.retryable


@contextmanager
def log_forgotten(server: Postgres) -> Iterator[None]:
    """Have the server have no log before its newest change; whoever joins later needs all of it."""
    before = "FROM khive.log WHERE number < (SELECT number FROM khive.head)"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE kept AS SELECT * {before}")
        connection.execute(f"DELETE {before}")
        try:
            yield
        finally:
            connection.execute("INSERT INTO khive.log SELECT * FROM kept")
            connection.execute("DROP TABLE kept")


@contextmanager
def lost_while_storing(patched: pytest.MonkeyPatch, stored: bool) -> Iterator[None]:
    """Have the answer to the next change be lost, or the change itself."""
    hand_over, received = TurnClient.hand_over, TurnClient._received

    def handed(self: TurnClient, change: PartedChange) -> None:
        if stored:
            hand_over(self, change)
            received(self)
        else:
            self.close()
        within.setattr(TurnClient, "_received", lost)

    def lost(self: TurnClient) -> Any:
        within.undo()
        raise ConnectionResetError

    with patched.context() as within:
        within.setattr(TurnClient, "hand_over", handed)
        yield


class Killed(BaseException):
    """Whoever applied what waits was killed here."""


@pytest.mark.parametrize("at", ["before the server", "after the server", "after the commit"])
def test_whoever_applies_may_be_killed_at_any_moment(
    away: Node, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    word = at.replace(" ", "-")
    with session(away, at) as one, session(away, f"{at} two") as two:
        for number in range(2):
            call(one, "memory.remember", content=f"{word} {number} of one")
            call(two, "memory.remember", content=f"{word} {number} of two")
            call(two, "brain.feedback", target="m1", signal="explicit_positive")
    events = "SELECT count(*) FROM profile_events WHERE session = ?"
    back(away)
    with monkeypatch.context() as patched, applier(away) as found:
        killed_at(patched, at)
        with pytest.raises(Killed):
            found.run()
    assert apply_all(away) == (6, 0)
    assert contents(away, word) == [
        f"{word} {n} of {who}" for n in (0, 1) for who in ("one", "two")
    ]
    with away.plain() as store:
        assert store.database.value(events, [f"{at} two"]) == 2


def killed_at(patched: pytest.MonkeyPatch, at: str) -> None:
    hand_over, begin = TurnClient.hand_over, table.WaitingTable.begin

    def handed(self: TurnClient, change: PartedChange) -> LogPosition:
        if at == "after the server":
            hand_over(self, change)
        raise Killed

    def begun(self: table.WaitingTable, limit: int, done: Collection[int] = ()) -> list[Any]:
        if done:
            raise Killed
        return begin(self, limit, done)

    if at == "after the commit":
        patched.setattr(table.WaitingTable, "begin", begun)
    else:
        patched.setattr(TurnClient, "hand_over", handed)
