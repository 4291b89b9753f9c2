"""Writes that wait, as users and sessions meet them: what is kept, refused and seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import apsw
import psycopg
import pytest
from support import Installation, installed, kill, wait_until
from waiting_support import (
    REGISTRY,
    apply_all,
    back,
    call,
    contents,
    session,
    waiting_file,
)

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.access.grant import confined_to
from khive_supervisor.errors import (
    Denied,
    InvalidInput,
    NotFound,
    SecretFound,
    StoreError,
    StoreUnavailable,
    TeamAway,
)
from khive_supervisor.sqlite.team import waiting as table


def was_killed_at_the_end(khive: Installation, name: str) -> None:
    """Stop a supervisor, one of whose processes is killed at that moment: nothing of it is left."""
    status, runs = khive.status(), khive.home / ".local/state/khive/run"
    (child,) = [one["pid"] for one in status["children"] if one["name"] == name]
    assert [*runs.glob("*.team-taken")]
    os.kill(status["pid"], signal.SIGSTOP)  # so that it does not start another one
    kill(child, signal.SIGKILL)
    os.kill(status["pid"], signal.SIGTERM)
    os.kill(status["pid"], signal.SIGCONT)
    wait_until(lambda: "No supervisor" in khive.run("stop", code=None).stdout, "it has ended")
    assert [*runs.iterdir()] == []


def test_what_is_said_while_the_server_is_away_is_stored_by_itself(
    server: Postgres, short: Path
) -> None:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
    with installed(short / "a") as khive:
        khive.configure(
            f'[embedder]\nkind = "none"\n[store]\nurl = "{server.url}"\naway = "wait"\n'
        )
        khive.start()
        khive.run("remember", "The heron stood in the pond.")
        assert "Nothing waits" in khive.run("team", "waiting").stdout
        server.stop()
        try:
            said = khive.run("remember", "The otter slept on the bank.").stdout
            assert "waiting write 1" in said
            khive.run("forget", "m1")
            khive.run("remember", "The toad has gone.")
            assert (
                "Forgotten: memory.remember by a command" in khive.run("team", "drop", "3").stdout
            )
            assert "waits, and is tried by itself" in khive.run("team", "retry", "2", code=2).stderr
            listed = khive.json("team", "waiting")["writes"]
            assert [one["verb"] for one in listed] == ["memory.remember", "memory.forget"]
            kill(khive.status()["pid"], signal.SIGKILL)
            khive.start()
            wait_until(lambda: khive.status()["team"].get("waiting") == 2, "the writes are seen")
            assert "2 writes wait here" in khive.run("status").stdout
        finally:
            server.start()
        wait_until(lambda: khive.status()["team"].get("waiting") == 0, "all are stored")
        was_killed_at_the_end(khive, "replicator")
        khive.start()
        assert "otter" in khive.run("recall", "otter").stdout
        assert "heron" not in khive.run("recall", "heron").stdout
        assert "Nothing waits" in khive.run("team", "waiting").stdout


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


def test_without_the_setting_a_write_fails_at_once_and_says_that_a_retry_helps(away: Node) -> None:
    with session(away, away="refuse") as one:
        with pytest.raises(TeamAway) as said:
            call(one, "memory.remember", content="lost")
        assert said.value.retryable
        assert "Nothing was written" in str(said.value)
        assert not one.whole_store.waiting.standing()


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
