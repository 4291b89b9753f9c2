"""What a node of a team does by itself: recall beside a plain file's, and rest."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation
from benchmarks.core.processes import command_of, processes_of, processor_seconds
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Session
from benchmarks.team.nodes import Postgres, postgres
from benchmarks.team.shared import connected, driver_is_missing
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ENTRIES, QUERIES = 100_000, 5000
#: What a node may take longer than a plain file, and use of a core at rest.
SLOWER, LIMIT = 1.05, 0.002
#: Nodes at rest, the seconds before and while they are measured.
NODES, SETTLING, MEASURED = 3, 90.0, 60.0
_WORDS, _BATCH = 20_000, 2000


def measure(context: Context) -> list[Row]:
    """The rows of recall and of rest."""
    if missing := driver_is_missing():
        return missing
    count = max(context.times(ENTRIES), 2000)
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name, postgres() as server:
        homes = [Path(name) / str(number) for number in range(NODES + 1)]
        with ExitStack() as stack:
            plain, *team = [stack.enter_context(_installation(home)) for home in homes]
            _fill(plain.store, count)
            team[0].store.parent.mkdir(parents=True)
            shutil.copyfile(plain.store, team[0].store)
            team[0].run("migrate", "--to", server.url)
            recall = _recall(plain, team[0], count, context.times(QUERIES))
            plain.stop()
            rest = _rest(server, team, 15.0 if context.quick else MEASURED)
    return [recall, rest]


@contextmanager
def _installation(home: Path) -> Iterator[Installation]:
    home.mkdir()
    found = Installation(home)
    try:
        yield found
    finally:
        if processes_of(home):
            found.stop()


def _fill(path: Path, count: int) -> None:
    """Make a store of so many entries with vectors of the bundled model's form."""
    draw, normal, model = random.Random(18), np.random.default_rng(18), model_files()
    path.parent.mkdir(parents=True)
    with SqliteStore(str(path), busy_timeout=60.0) as store:
        for start in range(0, count, _BATCH):
            texts = [f"{number} {_text(draw, 40)}" for number in range(start, start + _BATCH)]
            rows = normal.standard_normal((_BATCH, model.dimensions))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            store.entries.add(
                [NewEntry("memory", "local", "semantic", "", text) for text in texts],
                [row.astype("<f2").tobytes() for row in rows],
                model.model_id,
            )
        store.checkpoint(truncate=True)


def _text(draw: random.Random, words: int) -> str:
    """Return words of which some are frequent, as they are in texts."""
    return " ".join(f"word{int(_WORDS * draw.random() ** 3)}" for _ in range(words))


def _recall(plain: Installation, node: Installation, count: int, queries: int) -> Row:
    """Ask both the same, in turn, the other one first each time."""
    draw = random.Random(19)
    with ExitStack() as stack:
        sessions = [stack.enter_context(_session(one)) for one in (plain, node)]
        times: list[list[float]] = [[], []]
        answers: list[list[object]] = [[], []]
        for number in range(queries + 20):
            query = _text(draw, 4)
            for which in (0, 1) if number % 2 else (1, 0):
                taken, answer = sessions[which].search(query)
                if number >= 20:
                    times[which].append(taken)
                    answers[which].append([one["id"] for one in answer["results"]])
    alone, team = (Sample(tuple(one)) for one in times)
    alike = "all equal" if answers[0] == answers[1] else "NOT EQUAL"
    near = [team.quantile(q) / alone.quantile(q) for q in (0.5, 0.99)]
    return Row(
        what=f"recall in a session of a team's node, {count:,} entries with vectors",
        target="p50 and p99 within 5 % of a plain file's, equal answers",
        khive=f"{team.show('ms', 50, 99)}",
        peers=(f"a plain file: {alone.show('ms', 50, 99)}",),
        met=max(near) <= SLOWER and answers[0] == answers[1],
        notes=(
            f"Each query to both in turn; answers: {alike}; {near[0]:.3f} and {near[1]:.3f} times.",
        ),
        data={"node": team.as_dict(), "plain": alone.as_dict()},
    )


@contextmanager
def _session(installation: Installation) -> Iterator[Session]:
    """Give a session of a supervisor whose index is made."""
    installation.start()
    installation.settle()
    server = replace(
        installation.attach(), search_tool="memory_recall", search_arguments={"limit": 10}
    )
    with Session(server) as session:
        session.initialize()
        yield session


def _rest(server: Postgres, team: list[Installation], seconds: float) -> Row:
    for node in team[1:]:
        node.run("join", server.url)
    for node in team:
        if not processes_of(node.home):
            node.start()
        node.settle()
    Event().wait(SETTLING)
    before = _used(team)
    log, wal = _server_log(server)
    Event().wait(seconds)
    after = _used(team)
    shares = [
        (sum(after[n].values()) - sum(before[n].values())) / seconds for n in range(len(team))
    ]
    most = {what: 1000 * (used - before[0].get(what, 0.0)) for what, used in after[0].items()}
    log_after, wal_after = _server_log(server)
    idle = _idle_transactions(server)
    return Row(
        what=f"{len(team)} nodes of a team at rest for {seconds:.0f} s, all processes of each",
        target=f"under {LIMIT:.1%} of a core each; no growth of the log, no open transaction",
        khive=f"{', '.join(f'{share:.2%}' for share in shares)}; log {log_after - log:+d} bytes, "
        f"{idle} open transactions",
        met=max(shares) < LIMIT and log_after == log and idle == 0,
        notes=(
            f"The server's write-ahead log grew by {wal_after - wal:,} bytes.",
            "The first node, in milliseconds of the processor: "
            + ", ".join(f"{what} {used:.1f}" for what, used in sorted(most.items())),
        ),
        data={"shares": shares, "log": log_after - log, "wal": wal_after - wal},
    )


def _used(team: list[Installation]) -> list[dict[str, float]]:
    """Return what the processes of each node have used so far, by their modules."""
    found: list[dict[str, float]] = []
    for node in team:
        used: dict[str, float] = {}
        for pid in processes_of(node.home):
            _, _, module = command_of(pid).partition(" -m ")
            what = module.partition(" ")[0].rpartition(".")[2] or "another"
            used[what] = used.get(what, 0.0) + processor_seconds([pid])
        found.append(used)
    return found


def _server_log(server: Postgres) -> tuple[int, int]:
    """Return how long the server's log and its write-ahead log are."""
    with connected(server.url) as connection:
        row = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return (server.directory / "data" / "log").stat().st_size, int(row[0])


def _idle_transactions(server: Postgres) -> int:
    with connected(server.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        ).fetchone()
    return int(row[0])
