"""How long it takes to apply what waits on a machine, once its team's server is back."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apsw

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample, say
from benchmarks.team.nodes import Node, nodes, postgres, wait_until
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.access.grant import AGENT
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.packs import loading
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.waiting import waiting_file
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs.context import Context as CallContext
from khive_supervisor.verbs.context import SessionInfo

#: Writes that wait; in a quick run. As many as can.
WRITES, QUICK_WRITES = 10_000, 1_000
#: Sessions that have made them in turns.
SESSIONS = 4
#: Of so many writes one is feedback, which would count twice if it were applied twice.
FEEDBACK_EACH = 10
#: One in so many of the writes waits again, and who applies them is killed so often.
KILLED_SHARE, KILLS = 5, 8
#: Writes that a session makes by itself, for comparison.
BESIDE = 300
_APPLIER = (sys.executable, "-P", "-m", "khive_workers.waiting")
_COLUMNS = "wall, boot, since_boot, verb, namespace, arguments, caller, size"
_REMEMBER, _FEEDBACK = "memory.remember", "brain.feedback"


@dataclass(frozen=True, slots=True)
class Drained:
    """What it took to apply some writes, and what came of them on both nodes."""

    seconds: float
    processor: float
    killed: int
    lost: int
    doubled: int
    disorder: int

    @property
    def well(self) -> bool:
        """Whether each is there once, in its order."""
        return not (self.lost or self.doubled or self.disorder)

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled, {self.disorder} out of order"


def measure(context: Context) -> list[Row]:
    """The rows of writes that are applied."""
    if missing := driver_is_missing():
        return missing
    count = QUICK_WRITES if context.quick else WRITES
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        nodes(server.url, 2, Path(name)) as found,
    ):
        with found[0].open() as store:
            store.entries.add([NewEntry("memory", "default", "semantic", "", "What is judged.")])
        beside = _beside(found[0])
        whole = _drained(found, "a", count)
        killed = _drained(found, "b", count // KILLED_SHARE, KILLS)
    return [_row(count, whole, beside), _row_of_kills(count // KILLED_SHARE, killed)]


def _row(count: int, whole: Drained, beside: Sample) -> Row:
    return Row(
        what=f"{count:,} writes that waited are applied: until none waits",
        target="each once, in their order",
        khive=f"{whole.seconds:.1f} s ({1000 * whole.seconds / count:.2f} ms each, "
        f"{1000 * whole.processor / count:.2f} of them its processor); {whole}",
        peers=(
            f"a session that stores such a text with the server there: {beside.show('ms', 50)}",
        ),
        met=whole.well,
        data={"seconds": whole.seconds, "processor": whole.processor},
    )


def _row_of_kills(count: int, killed: Drained) -> Row:
    return Row(
        what=f"{count:,} such writes, and who applies them is killed {killed.killed} times",
        target="each once, in their order",
        khive=str(killed),
        met=killed.well and killed.killed > 0,
        data={"killed": killed.killed},
    )


def _configured(node: Node) -> Config:
    return replace(node.config, store=replace(node.config.store, away="wait"))


def _beside(node: Node) -> Sample:
    """Have a session store texts by itself, each in a turn of its own; milliseconds of each."""
    took = []
    with _environment(node), _sessions(node, 1) as (context,):
        for number in range(BESIDE):
            began = time.perf_counter()
            loading.load().call(context, _REMEMBER, {"content": _text("c", number)})
            took.append((time.perf_counter() - began) * 1000)
    return Sample(tuple(took))


def _text(name: str, number: int) -> str:
    return f"{name} {number:06d}: the river runs by the town and is crossed by bridge {number}."


@contextmanager
def _environment(node: Node) -> Iterator[None]:
    """Be a process of a node: its HOME says where its replicator listens."""
    before = os.environ["HOME"]
    os.environ["HOME"] = str(node.home)
    try:
        yield
    finally:
        os.environ["HOME"] = before


@contextmanager
def _sessions(node: Node, count: int) -> Iterator[list[CallContext]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(CallContext(
                _configured(node), SessionInfo(id=f"s{number}", actor=f"agent {number}"),
                socket_path=str(node.home / "nobody"), make_embedder=lambda: None, grant=AGENT,
            )))
            for number in range(count)
        ]  # fmt: skip


def _drained(found: list[Node], name: str, count: int, kills: int = 0) -> Drained:
    node = found[0]
    say(f"{count:,} writes wait")
    events = _events(node)
    node.stop()
    _fill(node, name, count)
    node.start()
    if kills:
        began, killed = time.perf_counter(), _killed(node, count, kills)
        processor = _applied(node)
        seconds = time.perf_counter() - began
    else:
        killed, began = 0, time.perf_counter()
        processor = _applied(node)
        seconds = time.perf_counter() - began
    assert _left(node) == 0, "some still wait, or were put aside"
    wait_until(lambda: len({_newest(one) for one in found}) == 1, 60)
    worst = [_outcome(one, name, count, events) for one in found]
    lost, doubled, disorder = (max(column) for column in zip(*worst, strict=True))
    return Drained(seconds, processor, killed, lost, doubled, disorder)


def _fill(node: Node, name: str, count: int) -> None:
    """Have sessions make a call of each kind, and the file hold so many of such ones.

    To be acknowledged, each is forced to disk: ten thousand would take minutes.
    """
    registry = loading.load()
    file = waiting_file(node.config.store.path)
    with _sessions(node, SESSIONS) as contexts:
        for context in contexts:
            registry.call(context, _REMEMBER, {"content": "a text"})
            judged = {"target": "m1", "signal": "explicit_positive"}
            registry.call(context, _FEEDBACK, judged)
    with closing(apsw.Connection(file)) as connection:
        kept: list[tuple[Any, ...]] = connection.execute(
            f"SELECT {_COLUMNS} FROM calls ORDER BY number"
        ).fetchall()
        connection.execute("BEGIN IMMEDIATE; DELETE FROM calls")
        places = ", ".join("?" * len(kept[0]))
        for number in range(count):
            row = list(kept[2 * (number % SESSIONS) + (number % FEEDBACK_EACH == 0)])
            if row[3] == _REMEMBER:
                row[5] = json.dumps({**json.loads(row[5]), "content": _text(name, number)})
            connection.execute(f"INSERT INTO calls ({_COLUMNS}) VALUES ({places})", row)
        connection.execute("COMMIT")


def _started(node: Node) -> subprocess.Popen[bytes]:
    environment = {**node.environment, snapshot.VARIABLE: snapshot.dumps(_configured(node))}
    return subprocess.Popen(_APPLIER, env=environment, stdout=subprocess.DEVNULL)


def _applied(node: Node) -> float:
    """Apply all that waits; seconds of the processor that this took."""
    process = _started(node)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"who applies has ended with {process.returncode}"
    return used.ru_utime + used.ru_stime


def _killed(node: Node, count: int, kills: int) -> int:
    """Kill who applies again and again, each time once it has applied some more."""
    killed = 0
    for number in range(1, kills + 1):
        process = _started(node)
        rest = count - number * count // (kills + 1)
        while process.poll() is None and _left(node) > rest:
            time.sleep(0.002)
        killed += process.poll() is None
        process.kill()
        process.wait()
    return killed


def _left(node: Node) -> int:
    with closing(apsw.Connection(waiting_file(node.config.store.path))) as connection:
        connection.set_busy_timeout(5000)
        ((left,),) = connection.execute("SELECT count(*) FROM calls").fetchall()
        return int(left)


def _newest(node: Node) -> object:
    with node.plain() as store:
        return store.database.value("SELECT number FROM replica")


def _events(node: Node) -> int:
    with node.plain() as store:
        return _judged(store)


def _judged(store: SqliteStore) -> int:
    sql = "SELECT count(*) FROM profile_events WHERE signal = 'explicit_positive'"
    return int(store.database.value(sql))


def _outcome(node: Node, name: str, count: int, events: int) -> tuple[int, int, int]:
    """Return how many are lost, doubled, and behind one that was made after them."""
    said = [_text(name, number) for number in range(count) if number % FEEDBACK_EACH]
    with node.plain() as store:
        sql = "SELECT content FROM entries WHERE content GLOB ? ORDER BY id"
        texts = [str(text) for (text,) in store.database.rows(sql, [f"{name} [0-9]*"])]
        more = _judged(store) - events - (count - len(said))
    counts = Counter(texts)
    lost = sum(text not in counts for text in said) + max(0, -more)
    doubled = len(texts) - len(counts) + max(0, more)
    return lost, doubled, sum(one > other for one, other in itertools.pairwise(texts))
