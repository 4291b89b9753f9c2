"""A release installed over one that runs: calls, attaches and tasks that it costs, and how long."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import clean_environment
from benchmarks.core.processes import kill, processes_of, wait_until
from benchmarks.core.report import Row, say
from benchmarks.core.session import Server, Session
from khive_supervisor import __version__
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[2]
#: Earlier releases, and the commits that they were; the first knew nothing of upgrades.
RELEASED = {
    "0.1.0": "a5729a9",
    "0.2.0": "97cf81f",
    "0.3.0": "31b350c",
    "0.4.0": "4814e84",
    "0.5.0": "b03aabb",
    "0.6.0": "e0af0b7",
    "0.7.0": "897e383",
    "0.8.0": "d29fed2",
    "0.9.0": "d6f4123",
}
NEXT = "99.0.0"
SESSIONS = 20
#: Seconds between two calls of a session, two new sessions, and two tasks.
THINKS, ATTACHES, TASKS = 0.2, 0.5, 0.1
#: Seconds of all that before the installation, and after the last session has moved.
BEFORE, AFTER = 3.0, 2.0
#: A task notes each time that it is done; some are at work for longer than a hand-over takes.
HANDLER = """import os
import time


def work(context, payload):
    time.sleep(4.0 if payload % 20 == 0 else 0.05)
    fd = os.open({file!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, b"%d\\n" % payload)
    os.close(fd)
    return payload
"""
CONFIGURATION = """[[roles]]
role = "worker"
task_types = ["work"]
workers = 2
timeout = "60s"
cwd = "{directory}"
handler = {{ python = "handlers:work" }}
"""


# --- environments and wheels ----------------------------------------------------------------------


def wheel(work: Path, release: str) -> Path:
    """A wheel of this checkout under another number, or of an earlier release."""
    there = work / f"khive_supervisor-{release}-py3-none-any.whl"
    if there.exists() and release in RELEASED:
        return there
    tree = work / f"tree-{release}"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    if release in RELEASED:
        archive = subprocess.run(
            ["git", "-C", ROOT, "archive", RELEASED[release]], capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    else:
        for name in ("khive_supervisor", "workers", "setup.cfg", "pyproject.toml", "README.md"):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, tree / name)  # type: ignore[operator]  # both take two paths
        shutil.copy(ROOT / "LICENSE", tree)
        file = tree / "khive_supervisor/__init__.py"
        file.write_text(re.sub(r'"[\d.]+"', f'"{release}"', file.read_text()))
    say(f"building the wheel of {release}")
    run(sys.executable, "-m", "pip", "wheel", "-q", str(tree), "--no-deps", "-w", str(work))
    return there


def run(*words: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{words} failed: {done.stderr[-500:]}")


def environment(place: Path) -> Path:
    """An environment that has what the project needs, from the one that runs this; its programs."""
    shutil.rmtree(place, ignore_errors=True)
    run(sys.executable, "-m", "venv", str(place))
    (packages,) = place.glob("lib/python3*/site-packages")
    ours = Path(sys.executable).parent.parent.glob("lib/python3*/site-packages")
    (packages / "needed.pth").write_text("".join(f"{path}\n" for path in ours))
    return place / "bin"


def install(programs: Path, file: Path) -> None:
    """What a user does, without the packages that are there.

    By force, since what `environment` lends may hold a package of this very number.
    """
    pip = (str(programs / "python"), "-m", "pip", "install", "-q", "--no-deps")
    run(*pip, "--force-reinstall", str(file))


# --- what goes on meanwhile -----------------------------------------------------------------------


@dataclass
class Tally:
    """What everybody got; filled from many threads, each append is one step."""

    calls: list[float] = field(default_factory=list)
    attaches: list[float] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    #: New sessions whose program was not there, or not whole: the installer was at it.
    not_there: int = 0
    installing: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)


def call(session: Session, name: str, tally: Tally) -> None:
    """One session that remembers one thing after another."""
    number = 0
    while not tally.over.wait(THINKS):
        number += 1
        began = time.monotonic()
        try:
            answer = session.call("memory_remember", content=f"{name} has seen fact {number}")
            assert answer["status"] == "stored", answer
        except (RuntimeError, OSError, AssertionError) as error:
            tally.lost.append(str(error)[:300])
            return
        tally.calls.append(time.monotonic() - began)


def come_and_go(server: Server, tally: Tally) -> None:
    """New sessions, one after another, each with one call; and a task for each turn between."""
    number = 0
    while not tally.over.wait(ATTACHES):
        began = time.monotonic()
        try:
            with Session(server) as session:
                session.initialize()
                tally.attaches.append(time.monotonic() - began)
                for _ in range(round(ATTACHES / TASKS)):
                    number += 1
                    session.call("agents_assign", role="worker", payload=number,
                                 idempotency_key=f"task {number}")  # fmt: skip
                    tally.tasks.append(number)
        except (RuntimeError, OSError) as error:
            if not_whole(server, tally, error):
                tally.not_there += 1
            else:
                tally.refused.append(str(error)[:300])


def not_whole(server: Server, tally: Tally, error: Exception) -> bool:
    """Return whether a new session met the installer at work: its program could not be run."""
    if isinstance(error, FileNotFoundError):
        return True
    words = (server.directory / "stderr.log").read_text(encoding="utf-8", errors="replace")
    broken = "ImportError" in words or "ModuleNotFoundError" in words or "SyntaxError" in words
    return broken and tally.installing.is_set()


class Site:
    """One environment, one home, and what runs there."""

    def __init__(self, work: Path, name: str) -> None:
        self.home = work / name
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.programs = environment(work / f"{name}-env")
        self.socket = str(self.home / ".local/state/khive/run/supervisor.sock")
        self.store = self.home / ".local/share/khive/khive.db"
        self.done = self.home / "done"
        handlers = self.home / "handlers"
        handlers.mkdir()
        (handlers / "handlers.py").write_text(HANDLER.format(file=str(self.done)))
        file = self.home / ".config/khive/khive.toml"
        file.parent.mkdir(parents=True)
        file.write_text(CONFIGURATION.format(directory=handlers))

    @property
    def server(self) -> Server:
        """How a client attaches."""
        command = (str(self.programs / "khive-supervisor"), "attach")
        return Server("khive", command, clean_environment(self.home), self.home, "", {})

    def command(self, *words: str) -> None:
        """Run a command; what it says is of no interest."""
        subprocess.run(
            [self.programs / "khive-supervisor", *words],
            env=clean_environment(self.home), cwd=self.home, capture_output=True, check=False,
        )  # fmt: skip

    def status(self) -> dict[str, object] | None:
        """The status, or None while nobody answers."""
        try:
            with ControlClient(self.socket) as client:
                return client.request("status")
        except (KhiveError, OSError):
            return None

    def release(self) -> object:
        """The release that runs, or None."""
        status = self.status()
        return status and status["version"]

    def workers(self) -> set[int]:
        """The processes of the sessions that last."""
        status = self.status()
        found = status["sessions"] if status else []
        assert isinstance(found, list)
        return {s["pid"] for s in found if s["kind"] == "session"}


@contextmanager
def at(work: Path, name: str) -> Iterator[Site]:
    """A site; everything of it is gone afterwards."""
    site = Site(work, name)
    try:
        yield site
    finally:
        site.command("stop", "--sessions")
        for pid in processes_of(site.home):
            kill(pid)


# --- the measurement ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Seconds of the installation, until the new release answered, and until all had moved."""

    installing: float
    answered: float
    moved: float
    tally: Tally
    missing: int
    undone: int
    twice: int


def upgraded(site: Site, file: Path, release: str) -> Found:
    """Everything at once, the installation in the middle, and the account of it."""
    tally = Tally()
    with ExitStack() as stack:
        sessions = [stack.enter_context(Session(site.server)) for _ in range(SESSIONS)]
        for session in sessions:
            session.initialize()
        threads = [threading.Thread(target=call, args=(s, f"session {n}", tally))
                   for n, s in enumerate(sessions)]  # fmt: skip
        threads.append(threading.Thread(target=come_and_go, args=(site.server, tally)))
        for thread in threads:
            thread.start()
        try:
            time.sleep(BEFORE)
            before = site.workers()
            began = time.monotonic()
            tally.installing.set()
            install(site.programs, file)
            installing = time.monotonic() - began
            tally.installing.clear()
            wait_until(lambda: site.release() == release, f"{release} answers")
            answered = time.monotonic() - began
            wait_until(
                lambda: len(now := site.workers()) >= SESSIONS and not now & before, "all moved"
            )
            moved = time.monotonic() - began
            time.sleep(AFTER)
        finally:
            tally.over.set()
            for thread in threads:
                thread.join()
    return Found(installing, answered, moved, tally, *account(site, tally))


def account(site: Site, tally: Tally) -> tuple[int, int, int]:
    """Acknowledged facts that are missing, and tasks that were not done, and done twice."""
    given = set(tally.tasks)

    def counted() -> Counter[int]:
        return Counter(map(int, site.done.read_text().split())) if site.done.exists() else Counter()

    try:
        wait_until(lambda: given <= set(counted()), "every task is done", 60)
    except RuntimeError:
        say("not every task was done in time")
    with SqliteStore(str(site.store), guarded=False) as store:
        kept = store.stats().live.get("memory", 0)
    done = counted()
    twice = sum(1 for count in done.values() if count > 1)
    return len(tally.calls) - kept, len(given - set(done)), twice


def row(old: str, new: str, found: Found) -> Row:
    """What came of one installation."""
    tally = found.tally
    lost, refused = len(tally.lost) + max(0, found.missing), len(tally.refused)
    return Row(
        what=f"{new} installed over {old} that runs: {SESSIONS} sessions call, others come and "
        "go, a role works",
        target="0 calls lost, 0 attaches refused, 0 tasks lost or done twice",
        khive=f"{lost} of {len(tally.calls)} calls lost, {refused} of {len(tally.attaches)} "
        f"attaches refused, {found.undone} of {len(tally.tasks)} tasks lost, {found.twice} twice",
        met=not (lost or refused or found.undone or found.twice),
        notes=(
            (f"pip took {found.installing:.1f} s; after {found.answered:.1f} s the new release "
            f"answered, after {found.moved:.1f} s every session had a worker of it. Longest call "
            f"{max(tally.calls, default=0):.2f} s, longest attach "
            f"{max(tally.attaches, default=0):.2f} s. {tally.not_there} times, a new session's "
            "program was not there, or not whole, while the installer replaced it."),
            *tally.lost[:2],
            *tally.refused[:2],
        ),
        data={"calls_s": sorted(tally.calls)[-20:], "attaches_s": sorted(tally.attaches)[-20:],
              "installing_s": found.installing, "answered_s": found.answered,
              "moved_s": found.moved},
    )  # fmt: skip


def measure(context: Context) -> list[Row]:
    """One row for the next release, and one for the step from each earlier one."""
    work = context.work / "upgrade"
    work.mkdir(parents=True, exist_ok=True)
    rows = []
    steps = ((old, __version__) for old in RELEASED if old != __version__)
    for old, new in ((__version__, NEXT), *steps):
        first, second = wheel(work, old), wheel(work, new)
        with at(work, f"from-{old}") as site:
            install(site.programs, first)
            site.command("start", "--background", "--quiet")
            rows.append(row(old, new, upgraded(site, second, new)))
    return rows
