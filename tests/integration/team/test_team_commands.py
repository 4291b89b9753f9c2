"""migrate, join and leave as a user types them: the configuration follows, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from support import Installation, installed

from benchmarks.team.nodes import Postgres

_PLAIN = '# mine\n[embedder]\nkind = "none" # no model\n'


@pytest.fixture
def empty(server: Postgres) -> str:
    """The URL of a server without a team."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
    return server.url


def configuration(khive: Installation) -> str:
    return (khive.home / ".config/khive/khive.toml").read_text(encoding="utf-8")


def test_a_machine_moves_its_store_and_leaves_again(empty: str, short: Path) -> None:
    with installed(short / "a") as khive:
        khive.configure(_PLAIN)
        khive.run("remember", "The cat slept on the sofa.", KHIVE_NO_DAEMON="1")
        assert "can be used" in khive.run("migrate", "--to", empty, "--dry-run").stdout
        assert "all are equal" in khive.run("migrate", "--to", empty).stdout
        assert configuration(khive) == f'{_PLAIN}\n[store]\nurl = "{empty}"\n'
        khive.start()
        assert khive.status()["team"]["state"] == "connected"
        refused = khive.run("migrate", "--to", empty, code=2).stderr
        assert "has a copy of that server's store already" in refused
        khive.run("remember", "The owl keeps the night shift.")
        assert "no team" not in khive.run("leave").stdout
        assert configuration(khive) == _PLAIN
        texts = khive.run("recall", "owl", KHIVE_NO_DAEMON="1").stdout
        assert "owl" not in texts, "its own store is used again"
        assert "can be joined" in khive.run("join", empty, "--dry-run").stdout
        khive.run("join", empty)
        assert "owl" in khive.run("recall", "owl").stdout


def test_what_cannot_be_done_is_said_before_anything_is(empty: str, short: Path) -> None:
    with installed(short / "a") as khive:
        khive.configure(_PLAIN)
        assert "in no team" in khive.run("leave", code=2).stderr
        with_password = empty.replace("postgres@", "postgres:secret@")
        refused = khive.run("join", with_password, code=2).stderr
        assert ".pgpass" in refused
        assert "secret" not in refused
        assert "no store at" in khive.run("migrate", "--to", empty, code=2).stderr
        assert "own already" in khive.run("migrate", "--to", "x.db", code=2).stderr
        nobody = "postgresql://postgres@127.0.0.1:1/postgres"
        assert "Connection refused" in khive.run("join", nobody, code=None).stderr
        assert configuration(khive) == _PLAIN
