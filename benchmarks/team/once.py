"""What runs once in a team: schedules and a channel on three nodes whose holders are killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.team.nodes import Node, postgres
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.config import snapshot
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.workflows.offices import SCHEDULES, Office, channel_office
from khive_supervisor.supervision.roles import clockwork
from khive_supervisor.tasks.model import RoleRow
from khive_supervisor.workflows.model import NewSchedule

#: Nodes; schedules that are due each minute; minutes; seconds between two kills.
NODES, DUE_EACH_MINUTE, MINUTES, KILL_EVERY = 3, 20, 3, 9.0
#: Seconds between two events that the channel is told of, and until all of them are expected.
PACE, PATIENCE = 0.25, 40.0
CHANNEL = "ops"
_NOTIFIER = (sys.executable, "-P", "-m", "khive_workers.notifier")


def measure(context: Context) -> list[Row]:
    """Messages and runs that are missing or twice, while holders are killed."""
    if missing := driver_is_missing():
        return missing
    minutes = 1 if context.quick else MINUTES
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name, postgres() as server:
        return [_row(_run(server.url, Path(name), minutes), minutes)]


@dataclass
class OnceNode(Node):
    """A node with a channel: a replicator, a notifier, and a process that looks at the clock."""

    sent: str = ""
    _notifier: subprocess.Popen[bytes] | None = None
    _pipe: socket.socket | None = None
    _clock: multiprocessing.process.BaseProcess | None = None

    @property
    def config(self) -> Config:
        told = f'echo "$KHIVE_EVENT_ID" >> {self.sent}'
        channel = {
            "name": CHANNEL,
            "kind": "command",
            "command": ["sh", "-c", told],
            "events": ["role.gave_up"],
            "timeout": 3.0,
        }
        return from_dict(
            {
                "store": {"path": str(self.home / "khive.db"), "url": self.url},
                "embedder": {"kind": "none"},
                "channels": [channel],
            }
        )

    def begin(self) -> None:
        """Start what a supervisor would."""
        self.start()
        private = snapshot.dumps(self.config, private=True)
        ours, theirs = socket.socketpair()
        with theirs:
            self._notifier = subprocess.Popen(
                [*_NOTIFIER, "--parent-fd", str(theirs.fileno())],
                env={**self.environment, snapshot.VARIABLE: private},
                pass_fds=[theirs.fileno()],
                stderr=subprocess.DEVNULL,
            )
        self._pipe = ours
        spawn = multiprocessing.get_context("spawn")
        arguments = (OnceNode(self.home, self.url, sent=self.sent),)
        self._clock = spawn.Process(target=_look, args=arguments, daemon=True)
        self._clock.start()

    def kill(self) -> None:
        """Kill all of it at once."""
        self.stop(kill=True)
        if self._notifier is not None:
            self._notifier.kill()
            self._notifier.wait()
        if self._clock is not None:
            self._clock.kill()
            self._clock.join()
        if self._pipe is not None:
            self._pipe.close()


def _look(node: OnceNode) -> None:
    """Look at the clock as a supervisor does."""
    office = Office(SCHEDULES)
    while True:
        with contextlib.suppress(KhiveError), node.open() as store:
            while True:
                clockwork.look(store, time.time(), office)
                time.sleep(0.5)
        time.sleep(0.2)


@dataclass
class OnceCounts:
    """What came of it."""

    events: int = 0
    kills: int = 0
    missing: int = 0
    repeated: int = 0
    firings: int = 0
    expected: int = 0
    runs: int = 0
    takeovers: list[float] = field(default_factory=list)


def _run(url: str, directory: Path, minutes: int) -> OnceCounts:
    sent = directory / "sent"
    sent.touch()
    with _three(url, directory, str(sent)) as found:
        _prepare(found)
        for node in found:
            node.begin()
        counts = OnceCounts()
        with found[0].open() as store:
            first = _minute_of(store) + 60
            _disturb(found, counts, first + 60 * minutes - 20)
            _settle(sent, counts)
            _count(store, sent, counts, first)
        return counts


@contextmanager
def _three(url: str, directory: Path, sent: str) -> Iterator[list[OnceNode]]:
    with ExitStack() as stack:
        found = []
        for number in range(NODES):
            node = OnceNode(directory / f"n{number}", url, sent=sent)
            node.home.mkdir()
            node.join()
            stack.callback(node.kill)
            found.append(node)
        yield found


def _prepare(found: Sequence[OnceNode]) -> None:
    definition = {"name": "n", "steps": [{"name": "a", "role": "echo", "task_type": "t"}]}
    for node in found:
        node.start()
        with node.open() as store:
            store.offices.want([SCHEDULES, channel_office(CHANNEL)])
            store.deliveries.keep_only([CHANNEL])
            store.roles.set([RoleRow("echo", ("t",), "d", 1, 1, 3, True)])
    with found[0].open() as store:
        for number in range(DUE_EACH_MINUTE):
            store.schedules.add(NewSchedule(f"s{number}", "* * * * *", definition, zone="UTC"))
    for node in found:
        node.stop()


def _minute_of(store: SqliteStore) -> float:
    now = store.server_time()
    assert now is not None
    return now // 60 * 60


def _disturb(found: Sequence[OnceNode], counts: OnceCounts, until: float) -> None:
    """Have things happen on the first node, and kill the holder of an office now and then.

    The first node is killed as well; what happens there meanwhile waits for it.
    """
    draw, kill_at = random.Random(18), time.monotonic() + KILL_EVERY
    while time.time() < until:
        with contextlib.suppress(KhiveError), found[0].open() as store:
            while time.time() < until and time.monotonic() < kill_at:
                store.audit.record("role.gave_up", f"role/r{counts.events}", {})
                counts.events += 1
                time.sleep(PACE)
        if time.monotonic() >= kill_at:
            office = draw.choice([SCHEDULES, channel_office(CHANNEL)])
            holder = _holder(found, office)
            if holder is not None:
                holder.kill()
                counts.kills += 1
                began = time.monotonic()
                while _holder([n for n in found if n is not holder], office) is None:
                    if time.monotonic() - began > PATIENCE:
                        break
                    time.sleep(0.05)
                counts.takeovers.append(time.monotonic() - began)
                holder.begin()
            kill_at = time.monotonic() + KILL_EVERY
        time.sleep(0.05)


def _holder(found: Sequence[OnceNode], office: str) -> OnceNode | None:
    for node in found:
        with node.open() as store:
            if store.offices.holds(office):
                return node
    return None


def _keys(sent: Path) -> Counter[str]:
    return Counter(sent.read_text(encoding="ascii").split())


def _settle(sent: Path, counts: OnceCounts) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and len(_keys(sent)) < counts.events:
        time.sleep(0.5)


def _count(store: SqliteStore, sent: Path, counts: OnceCounts, first: float) -> None:
    told = _keys(sent)
    counts.missing = counts.events - len(told)
    counts.repeated = sum(number - 1 for number in told.values())
    last = _minute_of(store)
    rows = store.database.rows(
        "SELECT count(*), count(DISTINCT run_id) FROM schedule_firings "
        "WHERE due BETWEEN ? AND ? AND run_id IS NOT NULL",
        [first, last],
    )
    counts.firings, counts.runs = rows[0]
    counts.expected = DUE_EACH_MINUTE * (int(last - first) // 60 + 1)


def _row(found: OnceCounts, minutes: int) -> Row:
    slowest = max(found.takeovers, default=0.0)
    lost = found.missing or found.firings != found.expected or found.runs != found.firings
    return Row(
        what=f"schedules and a channel on {NODES} nodes for {minutes} min, holders killed",
        target="nothing lost, nothing fired twice, taken over within seconds",
        khive=f"{found.kills} kills; {found.firings} of {found.expected} due times began "
        f"{found.runs} runs; of {found.events} messages {found.missing} missing, "
        f"{found.repeated} sent again with their key; taken over within {slowest:.1f} s",
        met=not lost and slowest < 10,
        notes=("A message is sent again where its node dies between sending and noting.",),
        data={"takeovers": found.takeovers, "pid": os.getpid()},
    )
