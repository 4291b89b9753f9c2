"""Writes that wait while a team's server is away: two nodes with supervisors and sessions."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import kill
from benchmarks.core.report import Row, Sample
from benchmarks.team.away import AWAY, stop_for
from benchmarks.team.nodes import postgres, wait_until
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.text.plain_json import JsonObject

#: Sessions of each node, and the seconds between two writes of one.
SESSIONS, PACE = 2, 0.1
#: Of so many writes one is feedback, which would count twice if it were applied twice.
FEEDBACK_EACH = 10
#: Kills of whoever applies what waits, and the seconds within which everything is caught up.
KILLS, CAUGHT_UP = 5, 30.0
#: Seconds of writing before the server is stopped, and after it is there again.
_BESIDE = 3.0


@dataclass(slots=True)
class Writes:
    """What sessions were told of their writes."""

    end: threading.Event = field(default_factory=threading.Event)
    texts: list[str] = field(default_factory=list)
    feedback: int = 0
    kept: int = 0
    kept_in: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is in the team's store afterwards."""

    lost: int
    doubled: int
    out_of_order: int


def measure(context: Context) -> list[Row]:
    """The row of writes that wait."""
    if missing := driver_is_missing():
        return missing
    away = 6.0 if context.quick else AWAY
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        ExitStack() as stack,
    ):
        found = [stack.enter_context(installed(Path(name) / f"n{n}")) for n in range(2)]
        for node in found:
            _begin(node, server.url)
        writes = Writes()
        threads = [
            threading.Thread(target=_write, args=(node, writes, f"w{n}{one}"), daemon=True)
            for n, node in enumerate(found)
            for one in range(SESSIONS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(_BESIDE)
        stopped, back = stop_for(server, away)
        killed = sum(_kill_appliers(node) for node in found)
        time.sleep(_BESIDE)
        writes.end.set()
        for thread in threads:
            thread.join()
        ended = time.perf_counter()
        wait_until(lambda: not any(_waiting(node) for node in found), 120)
        caught_up = time.perf_counter() - back
        wait_until(lambda: len({_number(node) for node in found}) == 1, 60)
        outcomes = [_outcome(node, writes) for node in found]
    return [_row(writes, outcomes, back - stopped, caught_up, ended - back, killed)]


def _row(
    writes: Writes,
    outcomes: Sequence[Outcome],
    away: float,
    caught_up: float,
    written_until: float,
    killed: int,
) -> Row:
    lost, doubled = max(one.lost for one in outcomes), max(one.doubled for one in outcomes)
    disorder = max(one.out_of_order for one in outcomes)
    kept_in = Sample(tuple(writes.kept_in or [0.0]))
    return Row(
        what=f"the server away for {away:.0f} s while {2 * SESSIONS} sessions of two nodes write; "
        'writes wait (`store.away = "wait"`)',
        target="0 acknowledged writes lost, 0 doubled, 0 out of order, 0 refused",
        khive=f"{lost} of {len(writes.texts) + writes.feedback:,} lost ({writes.kept:,} waited), "
        f"{doubled} doubled, {disorder} out of order, {len(writes.refused)} refused; kept in "
        f"{kept_in.show('ms', 50, 99)}; nothing waits {caught_up:.1f} s after the server is back",
        peers=('`store.away = "refuse"`: every write of that time is refused',),
        met=not (lost or doubled or disorder or writes.refused) and caught_up <= CAUGHT_UP,
        notes=(
            f"Who applied was killed {killed} times meanwhile.",
            f"Sessions went on writing for {written_until:.1f} s after the server was back.",
            f"Of {len(writes.unclear)} nobody could say at once whether they were stored.",
            *writes.refused[:1],
        ),
        data={"caught_up": caught_up, "lost": lost, "kept": writes.kept},
    )


def _begin(node: Installation, url: str) -> None:
    node.write_configuration(
        f'[embedder]\nkind = "none"\n[store]\nurl = "{url}"\naway = "wait"\n'
        "[session]\nnamespace = 'default'\n"
    )
    node.start()
    with node.verbs() as session:
        session.request("memory.remember", {"content": "What is judged again and again."})


def _write(node: Installation, writes: Writes, name: str) -> None:
    number = 0
    with node.verbs() as session:
        while not writes.end.wait(PACE):
            number += 1
            began = time.perf_counter()
            try:
                if number % FEEDBACK_EACH:
                    text = f"{name} {number:06d}"
                    said = session.request("memory.remember", {"content": text})
                    writes.texts.append(text)
                else:
                    judged: JsonObject = {"target": "m1", "signal": "explicit_positive"}
                    said = session.request("brain.feedback", judged)
                    writes.feedback += 1
            except KhiveError as error:
                unclear = "may or may not" in error.message
                (writes.unclear if unclear else writes.refused).append(str(error))
                continue
            if said["status"] == "waiting":
                writes.kept += 1
                writes.kept_in.append((time.perf_counter() - began) * 1000)


def _kill_appliers(node: Installation) -> int:
    """Kill whoever applies what waits, a few times; return how often."""
    killed, end = 0, time.perf_counter() + _BESIDE
    while killed < KILLS and time.perf_counter() < end:
        for child in Path("/proc").glob("[0-9]*/comm"):
            try:
                ours = str(node.home).encode() in (child.parent / "environ").read_bytes()
                if ours and child.read_text(encoding="utf-8").strip() == "khive-waiting":
                    time.sleep(0.05 * (killed + 1))
                    kill(int(child.parent.name))
                    killed += 1
            except OSError:
                continue
        time.sleep(0.01)
    return killed


def _waiting(node: Installation) -> int:
    team = node.status()["team"]
    return int(team.get("waiting", 0)) + int(team.get("put_aside", 0))


def _number(node: Installation) -> int:
    return int(node.status()["team"].get("number", -1))


def _outcome(node: Installation, writes: Writes) -> Outcome:
    with SqliteStore(node.status()["store"], guarded=False) as store:
        rows = store.database.rows(
            "SELECT content FROM entries WHERE content GLOB 'w[0-9]*' ORDER BY id"
        )
        sql = "SELECT count(*) FROM profile_events WHERE signal = 'explicit_positive'"
        events = int(store.database.value(sql))
    texts = [str(text) for (text,) in rows]
    counts = Counter(texts)
    lost = sum(text not in counts for text in writes.texts) + max(0, writes.feedback - events)
    doubled = len(texts) - len(counts) + max(0, events - writes.feedback)
    last: dict[str, str] = {}
    disorder = 0
    for text in texts:
        name = text.partition(" ")[0]
        disorder += text < last.get(name, "")
        last[name] = text
    return Outcome(lost, doubled, disorder)
