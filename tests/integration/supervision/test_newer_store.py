"""A store that a newer release has migrated: every entry refuses it in words, and leaves it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw
import pytest
from support import Installation, RawSession

from khive_supervisor import exitcodes
from khive_supervisor.sqlite.schema import migrations
from khive_supervisor.sqlite.store import SqliteStore


def make_newer(file: Path) -> None:
    with SqliteStore(str(file)):
        pass
    connection = apsw.Connection(str(file))
    connection.execute(f"PRAGMA user_version = {migrations.NEWEST + 1}")
    connection.close()


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("start",), {}),
        (("start", "--background"), {}),
        (("recall", "anything"), {}),
        (("recall", "anything"), {"KHIVE_NO_DAEMON": "1"}),
        (("upgrade",), {}),
        (("backup", "copy.db"), {}),
        (("attach",), {}),
    ],
)
def test_every_entry_refuses_it(
    khive: Installation, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    make_newer(khive.store)
    before = digest(khive.store)
    refused = khive.run(*words, code=exitcodes.STORE_REFUSED, **environment)
    assert "newer release" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert digest(khive.store) == before
    assert not khive.processes()


def test_a_session_that_serves_itself_says_so_in_each_call(khive: Installation) -> None:
    make_newer(khive.store)
    before = digest(khive.store)
    with RawSession(khive, KHIVE_NO_DAEMON="1") as session:
        session.initialize()
        answer = session.tool("memory_remember", content="into nowhere")
        assert answer["isError"]
        assert "newer release" in str(answer)
        assert session.close() == 0
    assert digest(khive.store) == before


def test_as_a_backup_it_is_refused(khive: Installation, tmp_path: Path) -> None:
    make_newer(tmp_path / "backup.db")
    khive.run("remember", "what is here stays", KHIVE_NO_DAEMON="1")
    refused = khive.run(
        "restore", str(tmp_path / "backup.db"), "--yes", code=exitcodes.STORE_REFUSED
    )
    assert "newer release" in refused.stderr
    assert khive.json("recall", "stays", KHIVE_NO_DAEMON="1")["results"]
