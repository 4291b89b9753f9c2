"""What reloads do to a service under load, good ones and bad ones, beside gunicorn's SIGHUP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.core.venvs import venv, version_of
from benchmarks.reload import gunicorn_service
from benchmarks.reload.gunicorn_service import Gunicorn, serving
from benchmarks.roles.rolework import BROKEN, ECHO, RoleWork, Submitter, account, run_all, working

ROLES = {"one": 4}
RELOADS = 10
#: Requests or tasks a second, and seconds between two reloads.
PACE, PAUSE = 100.0, 1.0
GOOD, BROKEN_FILE, NO_IMPORT = "good", "broken file", "code that does not import"
KINDS = (GOOD, BROKEN_FILE, NO_IMPORT)


def measure(context: Context) -> list[Row]:
    """A row for each kind of reload."""
    python, why = venv(context.work / "gunicorn", "gunicorn")
    name = f"gunicorn {version_of(python, 'gunicorn')}" if python else "gunicorn"
    rows = []
    for kind in KINDS:
        said, well, data = _khive(context.work, kind)
        theirs = _gunicorn(python, context.work, kind) if python else why
        rows.append(
            Row(
                what=f"{RELOADS} reloads under load: {kind}",
                target="0 refused, 0 lost; still serves",
                khive=said,
                peers=(f"{name}: {theirs}",),
                met=well,
                notes=_NOTES if kind == GOOD else (),
                data=data | {"gunicorn": theirs},
            )
        )
    return rows


_NOTES = (
    (
        f"{PACE:g} tasks (requests) a second, a reload every {PAUSE:g} s, four workers. khive: the "
        "role's definition and its module change; a file that is no TOML; a module that imports "
        "what is not there. gunicorn: SIGHUP with another timeout and application; a configuration "
        "that is no Python; an application that imports what is not there. Requests are of a "
        "connection each and are not repeated; tasks are queued, and wait by design."
    ),
)


# --- khive ----------------------------------------------------------------------------------------


def _khive(work: Path, kind: str) -> tuple[str, bool, dict[str, object]]:
    ends: Counter[str] = Counter()
    with working(work) as bench:
        bench.configure(ROLES)
        bench.khive.start()
        bench.until_ready(ROLES)
        tasks = int(RELOADS * PAUSE * PACE)

        def change(turn: int) -> None:
            _spoil(bench, kind, turn)
            ends[str(bench.reload()["state"])] += 1

        submitter = Submitter(bench, "one", range(tasks), PACE)
        given = run_all([submitter], lambda: _repeat(change))
        found = account(bench, given.tasks)
        gap = sum(bench.gaps(ROLES).values())
        ready = {r["role"]: r["workers_ready"] for r in bench.khive.status()["roles"]}
    refused = given.refused.total()
    serves = ready == ROLES
    said = (
        f"{refused} refused, {found.lost} lost of {tasks}; {gap:.0f} ms without a ready worker; "
        f"{'still serves' if serves else f'{ready} ready'}; reloads: "
        + ", ".join(f"{count} {state}" for state, count in ends.items())
    )
    data: dict[str, object] = {"refused": refused, "lost": found.lost, "gap_ms": gap}
    expected = {GOOD: "done", BROKEN_FILE: "failed", NO_IMPORT: "rolled_back"}[kind]
    well = not (refused or found.lost or found.doubled or gap) and ends[expected] == RELOADS
    return said, well and serves, data


def _spoil(bench: RoleWork, kind: str, turn: int) -> None:
    bench.write(BROKEN if kind == NO_IMPORT else f"{ECHO}\nTURN = {turn}\n")
    bench.configure(ROLES, turn=turn, settings="[store\n" if kind == BROKEN_FILE else "")


# --- gunicorn -------------------------------------------------------------------------------------


def _gunicorn(python: Path, work: Path, kind: str) -> str:
    with serving(python, work / "gunicorn-run") as gunicorn, _asking(gunicorn) as answers:

        def change(turn: int) -> None:
            broken = kind == BROKEN_FILE
            gunicorn.configure("timeout = = 30\n" if broken else f"timeout = {30 + turn}\n")
            app = gunicorn_service.APP
            spoilt = "import no_such_module\n" if kind == NO_IMPORT else f"TURN = {turn}\n"
            gunicorn.write(spoilt + app)
            gunicorn.reload()

        _repeat(change)
        lives = not gunicorn.ask(0)
    total = answers.total()
    lost = sum(n for why, n in answers.items() if why.startswith(("lost", "status")))
    return (
        f"{answers['refused']} refused, {lost} lost of {total}; "
        f"{'still serves' if lives else 'serves no more'}"
    )


@contextmanager
def _asking(gunicorn: Gunicorn) -> Iterator[Counter[str]]:
    """Requests at an even pace beside what is done in the block."""
    answers: Counter[str] = Counter()
    over = threading.Event()

    def ask() -> None:
        began, number = time.monotonic(), 0
        while not over.wait(max(0.0, began + number / PACE - time.monotonic())):
            number += 1
            answers[gunicorn.ask(number)] += 1

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield answers
    finally:
        over.set()
        asking.join()


def _repeat(change: Callable[[int], None]) -> None:
    first = time.monotonic()
    for turn in range(1, RELOADS + 1):
        change(turn)
        time.sleep(max(0.0, first + turn * PAUSE - time.monotonic()))
