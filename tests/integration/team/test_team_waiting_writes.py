"""Writes that wait, as a user meets them: the whole installation, with its supervisor killed."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
from support import installed, kill, wait_until

from benchmarks.team.nodes import Postgres


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
        assert "otter" in khive.run("recall", "otter").stdout
        assert "heron" not in khive.run("recall", "heron").stdout
        assert "Nothing waits" in khive.run("team", "waiting").stdout
