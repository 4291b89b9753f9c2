"""What a hostile repository does to a task in it, and to a program that is used plainly there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults.hostile_repository import Hostile
from khive_supervisor.errors import KhiveError
from khive_supervisor.worktrees import leftover, place
from khive_supervisor.worktrees.systems import WorktreeSystems


@dataclass(slots=True)
class Tally:
    """Programs that ran below us and below the plain program, files that changed, and refusals."""

    ours: int = 0
    plain: int = 0
    touched: int = 0
    refused: int = 0


def tally(
    work: Path,
    cases: Mapping[str, Callable[[Hostile], None]],
    make: Callable[[Path], Hostile],
    plainly: Callable[[Hostile], None],
    say: Callable[[str, bool, Sequence[str]], None],
) -> Tally:
    """Try each kind twice, each time in a repository of its own: by a task, and plainly."""
    found = Tally()
    for name, spoil in cases.items():
        with _spoilt(work, make, spoil) as (one, before):
            made = task_in(one, one.top.parent / "work")
            found.refused += not made
            found.ours += len(one.programs())
            found.touched += _content(one.victim) != before
        with _spoilt(work, make, spoil) as (one, _):
            plainly(one)
            ran = one.programs()
            found.plain += len(ran)
        say(name, made, ran)
    return found


def task_in(one: Hostile, top: Path) -> bool:
    """Do all that a task does; return whether it got a worktree."""
    systems = WorktreeSystems(one.environ)
    try:
        made = place.enter(systems, str(top), 1, "dev", "worktree", str(one.top))
    except (KhiveError, OSError):
        return False
    (Path(made.directory) / "one").write_text("changed\n")
    made.shown(systems)
    made.leave()
    for row in leftover.found(systems, str(top)):
        leftover.remove_clean(systems, str(top), row.task)
    return True


def run(words: Sequence[str], cwd: Path, environ: Mapping[str, str], patience: float) -> None:
    """Run a program; end all that it has started after `patience` seconds: some wait for ever."""
    process = subprocess.Popen(
        words,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def _spoilt(
    work: Path, make: Callable[[Path], Hostile], spoil: Callable[[Hostile], None]
) -> Iterator[tuple[Hostile, dict[str, bytes]]]:
    one = make(Path(tempfile.mkdtemp(dir=work)))
    try:
        spoil(one)
        yield one, _content(one.victim)
    finally:
        shutil.rmtree(one.top.parent)


def _content(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
