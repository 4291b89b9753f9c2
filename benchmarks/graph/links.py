"""How long it takes to name neighbours and a path among 100,000 links, by the verbs."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from khive_supervisor.access.grant import AGENT
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs import context as verbs

#: Links, and the entries that they are between; questions of each kind.
LINKS, ENTRIES, QUESTIONS = 100_000, 20_000, 400
#: Milliseconds that half of the answers may take.
NEAR, WAY = 2.0, 10.0
#: Kinds that are linked by; one has no circles, so its links lead from newer to older ones.
KINDS = ("depends_on", "about", "contradicts")


def measure(context: Context) -> list[Row]:
    """The rows of neighbours and paths."""
    work = context.work / "links"
    shutil.rmtree(work, ignore_errors=True)
    path, count = work / "khive.db", context.times(LINKS)
    numbers = random.Random(16)
    made = _fill(path, count, max(count * ENTRIES // LINKS, 100), numbers)
    config = from_dict({"store": {"path": str(path)}})
    caller = verbs.Context(
        config, verbs.SessionInfo(id="s", actor="ada"), socket_path=None,
        make_embedder=lambda: None, grant=AGENT,
    )  # fmt: skip
    try:
        return _rows(caller, count, made, numbers, context.times(QUESTIONS))
    finally:
        caller.close()


def _fill(path: Path, links: int, entries: int, numbers: random.Random) -> list[int]:
    """Link entries by chance, some of them far more often than others, as in any web."""
    with SqliteStore(str(path), audited=False) as store, store.transaction():
        added = store.entries.add(
            [NewEntry("memory", "default", "note", "", f"Entry {n}.") for n in range(entries)]
        )
        ids = [one.id for one in added]
        made = 0
        while made < links:
            older = ids[int(entries * numbers.random() ** 2)]
            newer = numbers.choice(ids)
            if older != newer:
                ends = (max(older, newer), min(older, newer))
                made += store.links.add(*ends, numbers.choice(KINDS))
    return ids


def _rows(
    caller: verbs.Context, links: int, ids: list[int], numbers: random.Random, questions: int
) -> list[Row]:
    registry = loading.load()

    def some() -> str:
        return f"m{numbers.choice(ids)}"

    near = _timed(
        questions, lambda: {"of": some()},
        lambda args: len(registry.call(caller, "graph.neighbors", args)["neighbors"]),  # type: ignore[arg-type]  # a list
    )  # fmt: skip
    two = _timed(
        questions, lambda: {"of": some(), "depth": 2},
        lambda args: len(registry.call(caller, "graph.neighbors", args)["neighbors"]),  # type: ignore[arg-type]  # a list
    )  # fmt: skip
    way = _timed(
        questions, lambda: {"from": some(), "to": some()},
        lambda args: int(bool(registry.call(caller, "graph.path", args)["found"])),
    )  # fmt: skip
    what = f"among {links} links of {len(ids)} entries"
    return [
        _row(f"graph.neighbors {what}", near, NEAR, "links shown"),
        _row(f"graph.neighbors, depth 2, {what}", two, None, "links shown"),
        _row(f"graph.path {what}", way, WAY, "found"),
    ]


Timed = tuple[Sample, int]


def _timed(
    times: int, ask: Callable[[], dict[str, object]], call: Callable[[dict[str, object]], int]
) -> Timed:
    took, found = [], 0
    for _ in range(times):
        args = ask()
        began = time.perf_counter()
        found += call(args)
        took.append((time.perf_counter() - began) * 1000)
    return Sample(tuple(took)), found


def _row(what: str, timed: Timed, target: float | None, counted: str) -> Row:
    sample, found = timed
    return Row(
        what=what,
        target=f"p50 {target:g} ms" if target is not None else "",
        khive=f"{sample.show('ms', 50, 99)}, {found} {counted}",
        met=None if target is None else sample.p50 <= target,
        data=sample.as_dict() | {"found": found},
    )
