"""The processor time of single commands, beside the commit before they loaded what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.report import Row, Sample, ratio

ROOT = Path(__file__).parents[2]
#: The last commit whose commands imported all that any of them needs.
BEFORE = "97cf81f"
#: Seconds of processor time that a command may take, beside what the supervisor does for it.
ASKS_NOBODY, ASKS = 0.15, 0.2
COMMANDS = {
    ("--version",): ASKS_NOBODY,
    ("--help",): ASKS_NOBODY,
    ("status",): ASKS,
    ("recall", "tea"): ASKS,
    ("remember", "tea at four"): ASKS,
    ("tasks",): ASKS,
    ("profiles",): ASKS,
}
#: Runs of each command that are measured, after one that is not.
RUNS = 15


def measure(context: Context) -> list[Row]:
    """A row for each command."""
    before = _tree(context.work, BEFORE)
    with installed(context.work) as khive:
        khive.start()
        khive.settle()
        return [_row(khive, before, words, context.times(RUNS)) for words in COMMANDS]


def _tree(work: Path, commit: str) -> Path:
    """The sources of a commit."""
    tree = work / f"tree-{commit}"
    if not tree.exists():
        archive = subprocess.run(
            ["git", "-C", ROOT, "archive", commit, "khive_supervisor", "workers"],
            capture_output=True,
            check=True,
        )
        tree.mkdir(parents=True)
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    return tree


def _row(khive: Installation, before: Path, words: tuple[str, ...], runs: int) -> Row:
    now, then = [], []
    for _ in range(1 + runs):  # in turns: a machine is not always as busy
        now.append(_seconds(khive, ROOT, words))
        then.append(_seconds(khive, before, words))
    ours, theirs = Sample(tuple(now[1:])), Sample(tuple(then[1:]))
    limit = COMMANDS[words]
    return Row(
        what=f"`{words[0]}`: user and system time of the whole process",
        target=f"p50 <= {limit:g} s",
        khive=ours.show("s", 50, 90),
        peers=(f"{BEFORE}: {theirs.show('s', 50, 90)}: {ratio(theirs.p50, ours.p50)}",),
        met=ours.p50 <= limit,
        data={"now": ours.as_dict(), BEFORE: theirs.as_dict()},
    )


def _seconds(khive: Installation, tree: Path, words: tuple[str, ...]) -> float:
    environment = {**khive.environment, "PYTHONPATH": f"{tree}:{tree}/workers"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "khive_supervisor", *words],
        env=environment,
        cwd=khive.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{words} exited with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
