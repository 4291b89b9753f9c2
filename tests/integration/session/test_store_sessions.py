"""Many sessions on one store: idle ones hold nothing back, and each sees every write at once."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


def test_a_hundred_idle_sessions_do_not_pin_the_log(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    with ExitStack() as stack:
        sessions = [stack.enter_context(SqliteStore(path)) for _ in range(100)]
        versions = [session.data_version() for session in sessions]
        for number, session in enumerate(sessions):
            session.entries.add([NewEntry("memory", "n", "k", "t", f"{number} " + "x" * 5000)])
            session.entries.recent(limit=2)
            session.full_text.match('"t"', 2)
        assert os.stat(path + "-wal").st_size > 1_000_000
        assert sessions[50].checkpoint(truncate=True).complete
        assert os.stat(path + "-wal").st_size == 0
        for before, session in zip(versions, sessions, strict=True):
            assert session.data_version() != before
            assert session.entries.live_count() == 100


def test_the_log_is_checkpointed_without_a_supervisor_too(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        for number in range(30):
            store.entries.add([NewEntry("memory", "n", "k", "t", f"{number}" + "x" * 1_000_000)])
        assert store.stats().wal_bytes < 24 * 2**20
