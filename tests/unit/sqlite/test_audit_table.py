"""The audit chain's rows in SQLite, and what somebody who has the file does with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from khive_supervisor.audit.verify import Fault, verify
from khive_supervisor.sqlite.audit import chains
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import NewTask


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    with SqliteStore(path) as opened:
        yield opened


def edit(path: str, *statements: str) -> None:
    """Do what somebody does who has the file."""
    connection = apsw.Connection(path)
    for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
        connection.execute(statement).fetchall()
    connection.close()


def test_an_entry_of_nothing_is_refused(store: SqliteStore) -> None:
    with pytest.raises(AssertionError):
        store.audit.append(1.0, "task.done", "task/t1", {})


def test_long_chains_are_read_in_steps(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "_PAGE", 3)
    for count in range(1, 8):
        store.audit.record("task.done", f"task/t{count}", {})
        assert [e.seq for e in store.audit.entries()] == list(range(1, count + 1))
    assert [e.seq for e in store.audit.entries(5)] == [6, 7]


def test_the_store_itself_refuses_changes(store: SqliteStore) -> None:
    store.audit.record("task.done", "task/t1", {})
    with store.database.raw() as connection:
        for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit"):
            with pytest.raises(apsw.ConstraintError, match="never"):
                connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("statements", "seq", "fault"),
    [
        (["UPDATE audit SET at = at + 1 WHERE seq = 3"], 3, Fault.CHANGED),
        (["UPDATE audit SET actor = 'eve' WHERE seq = 1"], 1, Fault.CHANGED),
        (["UPDATE audit SET subject = CAST(x'ff' AS TEXT) WHERE seq = 2"], 2, Fault.CHANGED),
        (["UPDATE audit SET hash = x'' WHERE seq = 6"], 6, Fault.CHANGED),
        (["DELETE FROM audit WHERE seq = 4"], 5, Fault.MISSING),
        (["DELETE FROM audit WHERE seq < 3"], 3, Fault.MISSING),
        (["UPDATE audit SET seq = 99 WHERE seq = 4"], 5, Fault.MISSING),
        (
            [
                "UPDATE audit SET seq = -seq WHERE seq IN (3, 4)",
                "UPDATE audit SET seq = 7 + seq WHERE seq < 0",
            ],
            3,
            Fault.OUT_OF_ORDER,
        ),
        (
            [
                "UPDATE audit SET seq = -seq - 1 WHERE seq > 2",
                "UPDATE audit SET seq = -seq WHERE seq < 0",
                "INSERT INTO audit SELECT 3, 0, 'k', 'eve', '', '', hash, hash FROM audit LIMIT 1",
            ],
            3,
            Fault.INSERTED,
        ),
    ],
)
def test_what_somebody_does_with_the_file_is_found(
    path: str, statements: list[str], seq: int, fault: Fault
) -> None:
    with SqliteStore(path) as store:
        for _ in range(3):
            store.tasks.cancel(store.tasks.assign(NewTask("r"))[0].id)
    edit(path, *statements)
    with SqliteStore(path) as store:
        problem = verify(store.audit.entries()).problem
        assert problem is not None
        assert (problem.seq, problem.fault) == (seq, fault)
        store.tasks.assign(NewTask("r"))  # a broken chain keeps nobody from working
        assert verify(store.audit.entries()).problem == problem
        store.audit.page()


def test_a_cut_end_is_found_by_a_head(path: str) -> None:
    with SqliteStore(path) as store:
        store.tasks.assign(NewTask("r"))
        store.tasks.cancel(1)
        head = store.audit.head()
    edit(path, "DELETE FROM audit WHERE seq = 2")
    with SqliteStore(path) as store:
        assert verify(store.audit.entries()).intact
        report = verify(store.audit.entries(), [head])
        assert report.problem is not None
        assert report.problem.fault is Fault.CUT
        store.tasks.assign(NewTask("r"))
        report = verify(store.audit.entries(), [head])
        assert report.problem is not None
        assert report.problem.fault is Fault.REWRITTEN
