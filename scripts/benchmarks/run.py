"""The command line: what is measured, with what, and where the results go."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    ack,
    attach,
    check,
    eager,
    feedback,
    idle,
    learn,
    learning,
    memory,
    profile_recall,
    quality,
    recall,
    rest,
    search,
    stale,
    start,
)
from benchmarks.context import Context
from benchmarks.material import gather
from benchmarks.peers import peers
from benchmarks.prepare import prepare
from benchmarks.report import Row, machine, print_machine, print_table, save, say

ROOT = Path(__file__).parents[2]
#: Entries of the whole run, and of a quick one.
ENTRIES, QUICK_ENTRIES = 100_000, 5_000

MEASUREMENTS: dict[str, Callable[[Context], list[Row]]] = {
    "attach": attach.measure,
    "memory": memory.measure,
    "search": search.measure,
    "recall": recall.measure,
    "learn": learn.measure,
    "fresh": learn.measure_freshness,
    "quality": quality.measure,
    "rest": rest.measure,
    "start": start.measure,
    "stale": stale.measure,
    "feedback": feedback.measure,
    "eager": eager.measure,
    "check": check.measure,
    "idle100": idle.measure,
    "ack": ack.measure,
    "profile-recall": profile_recall.measure,
    "learning": learning.measure,
}


def main(argv: list[str]) -> int:
    """Measure and print; 0 when every target that was measured was met, 1 otherwise."""
    options = parse(argv)
    about = machine()
    context = _context(options)
    rows: list[Row] = []
    for name in options.only or MEASUREMENTS:
        say(f"measuring: {name}")
        rows += MEASUREMENTS[name](context)
    shutil.rmtree(context.work / "peers", ignore_errors=True)
    print_machine(about)
    print_table(rows)
    if options.json:
        save(options.json, about, rows)
    return 1 if any(row.met is False for row in rows) else 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure the project beside its peers."
    )
    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        required=True,
        metavar="DIR",
        help="real texts: texts.jsonl of {title, content}, and vectors.npy if there is one",
    )
    add(
        "--retrieval",
        type=Path,
        metavar="FILE",
        help="retrieval sets as JSON: short queries, and documents that are not in the corpus",
    )
    add(
        "--sessions",
        type=Path,
        metavar="DIR",
        help="agents' sessions: tasks.jsonl and sessions.jsonl.gz, for pasted texts",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        default=ROOT / ".bench",
        help="scratch, kept so that the next run is quick (.bench)",
    )
    add(
        "--only",
        action="append",
        choices=list(MEASUREMENTS),
        metavar="NAME",
        help=f"measure only this; repeatable: {', '.join(MEASUREMENTS)}",
    )
    add("--quick", action="store_true", help="a small corpus, and each thing less often")
    add("--json", type=Path, metavar="FILE", help="also write every measured value there")
    return parser.parse_args(argv)


def _context(options: argparse.Namespace) -> Context:
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    limit = QUICK_ENTRIES if options.quick else ENTRIES
    material = gather(options.corpus, options.retrieval, options.sessions, work, limit)
    prepared = prepare(material.texts, material.vectors, work)
    return Context(
        work=work,
        material=material,
        prepared=prepared,
        peers=peers(work, prepared),
        quick=options.quick,
        retrieval=options.retrieval,
        sessions=options.sessions,
    )
