"""Whether tampering with the audit chain is found and named, and whether processes can fork it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from benchmarks.core.context import Context
from benchmarks.core.processes import begin_together
from benchmarks.core.report import Row
from khive_supervisor.audit.chain import Head
from khive_supervisor.audit.verify import Report, verify_chain
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import NewTask

#: Entries of the chain, and of each process that writes at once.
ENTRIES, EACH, PROCESSES = 2_000, 1_000, 2
FIELDS = ("at", "kind", "actor", "subject", "detail", "previous", "hash")

#: What a process does: so many entries, one by one.
_WRITER = """
import sys
from khive_supervisor.sqlite.store import SqliteStore
with SqliteStore(sys.argv[1], busy_timeout=60) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        store.audit.record("task.done", f"task/t{number}", {"by": sys.argv[3]})
"""

Edit = Callable[[apsw.Connection], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """Something that is done to the file: where it should be found, and as what."""

    name: str
    seq: int
    faults: tuple[str, ...]
    edit: Edit


def measure(context: Context) -> list[Row]:
    """The rows of tampering and of forks."""
    work = context.work / "audit"
    shutil.rmtree(work, ignore_errors=True)
    count = context.times(ENTRIES)
    head = _fill(work / "whole" / "khive.db", count)
    attacks = _attacks(count)
    found, missed = 0, []
    for attack in attacks:
        report = _attacked(work, attack, head)
        problem = report.problem
        named = problem is not None and problem.seq == attack.seq
        if problem is not None and named and problem.fault.value in attack.faults:
            found += 1
        else:
            missed.append(f"{attack.name}: {problem}")
    whole = _verified(work / "whole" / "khive.db", head)
    forks, written = _forks(work / "forked" / "khive.db", context.times(EACH))
    return [
        Row(
            what=f"tampering with one of {count} entries",
            target="each found, and the entry named",
            khive=f"{found} of {len(attacks)} found and named; untouched: "
            f"{'intact' if whole.intact else 'broken'}",
            met=found == len(attacks) and whole.intact,
            notes=(
                (
                    f"A bit of each of {len(FIELDS)} fields flipped, text moved between fields, an "
                    "entry removed, two swapped, one inserted (all with the numbers closed up), "
                    "the end cut, and the end written anew with right hashes; the last two are "
                    "found by a head that was kept." + "".join(f" Missed: {one}." for one in missed)
                ),
            ),
            data={"found": found, "attacks": [a.name for a in attacks], "missed": missed},
        ),
        Row(
            what=f"{PROCESSES} processes that append at once, {written} entries",
            target="0 forks, 0 lost",
            khive=f"{forks} forks or lost",
            met=forks == 0,
            data={"forks": forks, "entries": written},
        ),
    ]


def _fill(path: Path, count: int) -> Head:
    with SqliteStore(str(path)) as store, store.transaction():
        for number in range(count):
            store.tasks.assign(NewTask("r", payload=number))
        return store.audit.head()


def _attacked(work: Path, attack: Attack, head: Head) -> Report:
    path = work / "attacked" / "khive.db"
    shutil.rmtree(path.parent, ignore_errors=True)
    shutil.copytree(work / "whole", path.parent)
    connection = apsw.Connection(str(path))
    for name in ("audit_no_update", "audit_no_delete"):
        connection.execute(f"DROP TRIGGER {name}").fetchall()
    attack.edit(connection)
    connection.close()
    return _verified(path, head)


def _verified(path: Path, head: Head) -> Report:
    with SqliteStore(str(path)) as store:
        return verify_chain(store.audit, [head])


def _attacks(count: int) -> list[Attack]:
    middle = count // 2
    attacks = [
        Attack(f"flip a bit of {name}", middle, ("changed",), _flip(name, middle))
        for name in FIELDS
    ]
    return [
        *attacks,
        Attack("move text", middle, ("changed",), _run(
            f"UPDATE audit SET kind = kind || substr(actor, 1, 2), actor = substr(actor, 3) "
            f"WHERE seq = {middle}")),
        Attack("remove", middle, ("missing before it",), _run(
            f"DELETE FROM audit WHERE seq = {middle}",
            *_renumber(middle, -1))),
        Attack("swap two", middle, ("out of order",), _run(
            f"UPDATE audit SET seq = -1 WHERE seq = {middle}",
            f"UPDATE audit SET seq = {middle} WHERE seq = {middle + 1}",
            f"UPDATE audit SET seq = {middle + 1} WHERE seq = -1")),
        Attack("swap two far apart", 2, ("changed", "out of order"), _run(
            "UPDATE audit SET seq = -1 WHERE seq = 2",
            f"UPDATE audit SET seq = 2 WHERE seq = {middle}",
            f"UPDATE audit SET seq = {middle} WHERE seq = -1")),
        Attack("insert", middle, ("inserted",), _run(
            *_renumber(middle - 1, 1),
            f"INSERT INTO audit SELECT {middle}, at, kind, 'nobody', subject, detail, hash, "
            f"zeroblob(32) FROM audit WHERE seq = {middle - 1}")),
        Attack("cut the end", count - 4, ("cut",), _run(
            f"DELETE FROM audit WHERE seq > {count - 5}")),
        Attack("write the end anew", count, ("rewritten",), _rewrite(count - 5)),
    ]  # fmt: skip


def _renumber(after: int, by: int) -> Sequence[str]:
    """Move all numbers above one, in two steps since they are unique."""
    return (
        f"UPDATE audit SET seq = -(seq + {by}) WHERE seq > {after}",
        "UPDATE audit SET seq = -seq WHERE seq < 0",
    )


def _run(*statements: str) -> Edit:
    def edit(connection: apsw.Connection) -> None:
        for statement in statements:
            connection.execute(statement).fetchall()

    return edit


def _flip(name: str, seq: int) -> Edit:
    """Flip one bit of a field as it is stored."""

    def edit(connection: apsw.Connection) -> None:
        if name == "at":
            connection.execute("UPDATE audit SET at = at + 1e-6 WHERE seq = ?", [seq]).fetchall()
            return
        ((data,),) = connection.execute(
            f"SELECT CAST({name} AS BLOB) FROM audit WHERE seq = ?",
            [seq],
        )
        changed = bytearray(data)
        changed[len(changed) // 2] ^= 1
        value = "?" if name in ("previous", "hash") else "CAST(? AS TEXT)"
        connection.execute(
            f"UPDATE audit SET {name} = {value} WHERE seq = ?",
            [bytes(changed), seq],
        ).fetchall()

    return edit


def _rewrite(after: int) -> Edit:
    """Go on from an entry with other ones, whose hashes are right."""

    def edit(connection: apsw.Connection) -> None:
        gone = connection.execute("SELECT count(*) FROM audit WHERE seq > ?", [after]).fetchall()
        connection.execute("DELETE FROM audit WHERE seq > ?", [after]).fetchall()
        path = connection.filename
        with SqliteStore(path, guarded=False) as store:
            for _ in range(gone[0][0]):
                store.audit.record("task.done", "task/t1", {}, actor="nobody")

    return edit


def _forks(path: Path, each: int) -> tuple[int, int]:
    """How many entries are lost or follow the same one, and how many were written."""
    SqliteStore(str(path)).close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", _WRITER, str(path), str(each), f"w{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    begin_together(writers)
    for writer in writers:
        writer.communicate()
    with SqliteStore(str(path)) as store:
        report = verify_chain(store.audit)
        followed = [entry.previous for entry in store.audit.entries()]
    written = PROCESSES * each
    wrong = len(followed) - len(set(followed)) + abs(written - len(followed))
    return wrong + (not report.intact), written
