"""Writes that wait on a machine while its team's server is away: each is stored once, in order."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import psycopg
import pytest
from khive_workers.waiting.applying import CallApplier, CallerContexts

from benchmarks.team.nodes import Node, Postgres, nodes, wait_until
from khive_supervisor.access.grant import AGENT, Grant, confined_to
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import (
    Denied,
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    SecretFound,
    StoreError,
    StoreUnavailable,
    TeamAway,
)
from khive_supervisor.packs import loading
from khive_supervisor.sqlite.team import waiting as table
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.store.model import NewEntry
from khive_supervisor.team import waiting
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import PartedChange
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
AWAY = "/nowhere/supervisor.sock"


def configured(node: Node, away: str = "wait") -> Config:
    return replace(node.config, store=replace(node.config.store, away=away))


@contextmanager
def session(
    node: Node, name: str = "one", grant: Grant = AGENT, away: str = "wait", client: str = "claude"
) -> Iterator[Context]:
    """Give a session on a node, whose environment is this process's."""
    context = Context(
        configured(node, away),
        SessionInfo(id=name, actor=f"actor of {name}"),
        socket_path=AWAY,
        make_embedder=lambda: None,
        grant=grant,
    )
    context.client = (client, "1.0")
    try:
        yield context
    finally:
        context.close()


def call(context: Context, verb: str, **arguments: object) -> Mapping[str, Any]:
    return REGISTRY.call(context, verb, arguments)


@contextmanager
def applier(node: Node) -> Iterator[CallApplier]:
    contexts = CallerContexts(configured(node), AWAY)
    try:
        yield CallApplier(contexts, REGISTRY, lambda *_: None)
    finally:
        contexts.close()


def contents(node: Node, word: str) -> list[str]:
    """Return the living memories that begin with a word, in their order."""
    with node.plain() as store:
        found = store.entries.recent(limit=1000)
    return [one.content for one in found if one.live and one.content.startswith(word)][::-1]


def apply_all(node: Node) -> tuple[int, int]:
    """Apply what waits; return how many were applied and put aside."""
    with applier(node) as found:
        assert found.run()
        return found.applied, found.put_aside


@pytest.fixture(scope="module")
def team(server: Postgres) -> Iterator[list[Node]]:
    """Two nodes of a team with a memory, which the tests of this file share."""
    directory = TemporaryDirectory(prefix="k", dir="/tmp")
    with directory as name, nodes(server.url, 2, Path(name)) as found:
        with found[0].open() as store:
            store.entries.add([NewEntry("memory", "default", "semantic", "", "the first of all")])
        yield found


@pytest.fixture
def here(team: list[Node], monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """The first node; this process is one of its own."""
    monkeypatch.setenv("HOME", str(team[0].home))
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield team[0]
    waiting_file(team[0]).unlink(missing_ok=True)


@pytest.fixture
def away(here: Node) -> Iterator[Node]:
    """A node that cannot reach its server until `back`, or the end of the test."""
    here.stop()
    yield here
    back(here)


def back(node: Node) -> None:
    """Have a node reach its server again."""
    if node._process is None:
        node.start()


def waiting_file(node: Node) -> Path:
    return Path(node.config.store.path).with_name("waiting.db")


def test_writes_wait_and_are_stored_in_order_when_the_server_is_back(
    server: Postgres, here: Node, team: list[Node]
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
    wait_until(lambda: contents(team[1], "order") == stored)
    with team[1].plain() as store:
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


def test_without_the_setting_a_write_fails_at_once_and_says_that_a_retry_helps(away: Node) -> None:
    with session(away, away="refuse") as one:
        with pytest.raises(TeamAway) as said:
            call(one, "memory.remember", content="lost")
        assert said.value.retryable
        assert "Nothing was written" in str(said.value)
        assert not one.whole_store.waiting.standing()


def test_what_is_never_to_wait_is_refused(away: Node) -> None:
    remembered = {"verb": "memory.remember", "args": {"content": "never"}}
    profile = {"verb": "brain.create_profile", "args": {"name": "mine"}}
    with session(away) as one:
        for verb, args in (
            (profile["verb"], profile["args"]),
            ("batch.run", {"calls": [remembered, profile]}),
        ):
            with pytest.raises(StoreUnavailable):
                call(one, str(verb), **dict(args))
        assert not one.whole_store.waiting.standing()
        assert call(one, "batch.run", calls=[remembered], key="k")["status"] == "waiting"
    back(away)
    assert apply_all(away) == (1, 0)
    assert contents(away, "never") == ["never"]


def test_conflicts_are_decided_as_for_two_sessions(here: Node, team: list[Node]) -> None:
    with session(here) as one:
        ids = [call(one, "memory.remember", content=f"fact {n}")["id"] for n in range(3)]
        here.stop()
        for number, name in enumerate(ids):
            said = call(one, "memory.supersede", id=name, content=f"fact of mine {number}")
            assert said["status"] == "waiting"
        with pytest.raises(NotFound):
            call(one, "graph.link", **{"from": "m999", "to": ids[0], "kind": "same_as"})
        call(one, "memory.forget", ids=[ids[2]])
        with team[1].open() as other:
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


def test_a_secret_is_refused_and_what_is_private_is_cut_before_it_is_kept(away: Node) -> None:
    with session(away) as one:
        with pytest.raises(SecretFound):
            call(one, "memory.remember", content="password = hunter2hunter2X9")
        assert not one.whole_store.waiting.standing()
        said = call(one, "memory.remember", content="ajar <private>closed</private> end")
        data = waiting_file(away).read_bytes()
        assert b"ajar" in data
        assert b"closed" not in data
        one.whole_store.waiting.drop(said["waiting"])
        assert b"ajar" not in waiting_file(away).read_bytes()


def test_a_confined_sessions_write_is_applied_within_its_walls(away: Node) -> None:
    with session(away, "shut in", grant=confined_to("inner")) as one:
        call(one, "memory.remember", content="from within")
        with pytest.raises(Denied):
            call(one, "memory.remember", content="from without", namespace="outer")
    back(away)
    assert apply_all(away) == (1, 0)
    with away.plain() as store:
        assert store.entries.recent(limit=1)[0].namespace == "inner"


def test_too_many_are_refused_in_words(away: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST", 2)
    with session(away) as one:
        for number in range(2):
            call(one, "memory.remember", content=f"many {number}")
        with pytest.raises(StoreUnavailable, match=r"2 writes .* wait on this machine already"):
            call(one, "memory.remember", content="many 2")


def test_a_disk_that_takes_nothing_is_told_of(away: Node) -> None:
    with session(away) as one:
        call(one, "memory.remember", content="a file")
        waiting_file(away).unlink()
        waiting_file(away).mkdir()
        try:
            with pytest.raises(StoreError, match=r"cannot be used: .*waiting\.db"):
                call(one, "memory.remember", content="no room")
        finally:
            waiting_file(away).rmdir()


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


def test_a_session_finds_what_waits_within_its_walls(away: Node) -> None:
    with session(away) as one, session(away, "shut in", grant=confined_to("inner")) as other:
        call(one, "memory.remember", content="The ferry leaves at noon.")
        call(one, "memory.remember", content="The ferry is blue.", namespace="outer")
        notes = call(one, "memory.recall", query="when does the ferry leave")["notes"]
        assert any("waiting write 1" in note and "at noon" in note for note in notes)
        assert not any("blue" in note for note in notes)
        assert notes[-1].startswith("2 writes wait on this machine")
        assert not any("ferry" in n for n in call(one, "memory.recall", query="owl")["notes"])
        assert "ferry" not in str(call(other, "memory.recall", query="ferry"))
        assert "wait on" not in str(call(other, "memory.recall", query="ferry"))
        call(other, "memory.remember", content="The ferry inside.")
        notes = call(other, "memory.recall", query="ferry")["notes"]
        assert "The ferry inside." in notes[-2]
        assert notes[-1].startswith("1 write waits")


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
    server: Postgres, here: Node, team: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    with session(here) as one:
        with lost_while_storing(monkeypatch, stored=True):
            call(one, "memory.remember", content="forgotten by the log")
        with team[1].open() as other:
            other.entries.add([NewEntry("memory", "default", "semantic", "", "after it")])
        wait_until(lambda: contents(here, "after it"))
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(
                "DELETE FROM khive.log WHERE number < (SELECT number FROM khive.head)"
            )
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


def test_what_waits_is_listed_and_read_within_its_walls(away: Node) -> None:
    with session(away) as one, session(away, "shut in", grant=confined_to("inner")) as other:
        call(one, "memory.remember", content="The tram is late.", title="Tram")
        call(one, "memory.forget", ids=["m1"])
        listed = call(one, "memory.list")["waiting"]
        assert [(w["id"], w["title"], w["content"]) for w in listed] == [
            ("waiting:1", "Tram", "The tram is late.")
        ]
        assert "waiting" not in call(one, "memory.list", contains="ferry")
        assert "waiting" not in call(one, "memory.list", tags=["late"])
        assert "waiting" not in call(other, "memory.list")
        read = call(one, "memory.get", ids=["waiting:1", "waiting:2", "m1"])
        assert [w["verb"] for w in read["waiting"]] == ["memory.remember", "memory.forget"]
        assert [entry["id"] for entry in read["entries"]] == ["m1"]
        text = REGISTRY.get("memory.get").as_text
        assert text is not None
        assert "not with the team yet" in text(read)
        for reader, name in ((other, "waiting:1"), (one, "waiting:9")):
            with pytest.raises(NotFound, match="waits here"):
                call(reader, "memory.get", ids=[name])
        for verb, args in (
            ("memory.forget", {"ids": ["waiting:1"]}),
            ("memory.supersede", {"id": "waiting:1", "content": "The tram is early."}),
        ):
            with pytest.raises(InvalidInput, match="has no id yet") as said:
                call(one, verb, **args)
            assert "team drop 1" in said.value.hint


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


def test_a_file_of_an_earlier_release_is_read_and_written(away: Node) -> None:
    with session(away) as one:
        call(one, "memory.remember", content="earlier 1")
        with apsw.Connection(str(waiting_file(away))) as connection:
            connection.execute(
                "ALTER TABLE calls DROP COLUMN change; ALTER TABLE calls DROP COLUMN nonce; "
                "PRAGMA user_version = 0"
            )
        assert [found.said.arguments["content"] for found in one.whole_store.waiting.all()]
        call(one, "memory.remember", content="earlier 2")
    back(away)
    assert apply_all(away) == (2, 0)
    assert contents(away, "earlier") == ["earlier 1", "earlier 2"]
