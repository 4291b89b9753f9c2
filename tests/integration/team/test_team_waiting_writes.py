"""Writes that wait, as a user meets them: the whole installation, with its supervisor killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
from support import Installation, installed, kill, wait_until

from benchmarks.team.nodes import Postgres


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
