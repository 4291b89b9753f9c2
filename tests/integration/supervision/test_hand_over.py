"""A newer release takes over in place: nothing is refused, lost or done twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Installation, RawSession, alive, kill, wait_until

from khive_supervisor import __version__

NEWER = "99.0.0"


#: The commit that 0.1.0 was.
FIRST = "a5729a9"
IGNORED = shutil.ignore_patterns("__pycache__")


class Site:
    """A copy of the project that the installation loads, and in which a release is replaced."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        ignored = shutil.ignore_patterns("__pycache__", "*.onnx")
        for source in (ROOT / "khive_supervisor", ROOT / "workers/khive_workers"):
            shutil.copytree(source, directory / source.name, ignore=ignored)
        model = "khive_supervisor/embed/model"
        for file in (ROOT / model).glob("*.onnx"):
            os.link(file, directory / model / file.name)

    def fill(self, tree: Path) -> None:
        """Put the files of another tree in the place of those that are here."""
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        for source in (tree / "khive_supervisor", tree / "workers/khive_workers"):
            shutil.copytree(source, self.directory / source.name, ignore=IGNORED)

    def install(self, release: str, more: str = "") -> None:
        """Put another release in its place, as an installer does: by another file."""
        file = self.directory / "khive_supervisor/__init__.py"
        new = file.with_suffix(".new")
        new.write_text(f'"""Another release."""\n\n__version__ = "{release}"\n{more}')
        new.replace(file)


@pytest.fixture
def site(khive: Installation, tmp_path: Path) -> Site:
    made = Site(tmp_path / "site")
    khive.env["PYTHONPATH"] = str(made.directory)
    return made


class Caller(threading.Thread):
    """A session that calls without a pause, and keeps every answer."""

    def __init__(self, khive: Installation, name: str) -> None:
        super().__init__(daemon=True)
        self.session = RawSession(khive)
        self.session.initialize()
        self.label = name
        self.answers: list[dict[str, Any]] = []
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            number = len(self.answers)
            text = f"{self.label} stored the fact number {number}"
            self.answers.append(self.session.tool("memory_remember", content=text))

    def end(self) -> int:
        self._over.set()
        self.join(60)
        return self.session.close()


def workers_of(khive: Installation) -> set[int]:
    """The processes that serve the sessions; none while nobody answers."""
    status = khive.status_or_none()
    return {session["pid"] for session in status["sessions"]} if status else set()


def moved(khive: Installation, before: set[int]) -> bool:
    """Whether every session has another worker by now."""
    now = workers_of(khive)
    return len(now) == len(before) and not now & before


def test_a_newer_release_takes_over_between_two_calls(khive: Installation, site: Site) -> None:
    khive.start()
    before = khive.status()
    callers = [Caller(khive, name) for name in ("ada", "bob", "cyd")]
    for caller in callers:
        caller.start()
    wait_until(lambda: len(workers_of(khive)) == 3, "three sessions are registered")
    workers = workers_of(khive)
    site.install(NEWER)
    # Whoever comes first brings it to the supervisor's notice, and is served meanwhile.
    assert khive.json("remember", "by the newer release")["status"] == "stored"
    wait_until(lambda: (s := khive.status_or_none()) and s["version"] == NEWER, "it has taken over")
    wait_until(lambda: moved(khive, workers), "every session has a new worker")
    assert khive.status()["pid"] == before["pid"]
    counts = [len(caller.answers) for caller in callers]
    wait_until(lambda: all(len(c.answers) > n for c, n in zip(callers, counts, strict=True)), "on")
    assert [caller.end() for caller in callers] == [0, 0, 0]
    for caller in callers:
        told = [answer["structuredContent"]["status"] for answer in caller.answers]
        assert set(told) == {"stored"}
    stored = sum(len(caller.answers) for caller in callers) + 1
    assert khive.call("system.status")["store"]["entries"]["memory"] == stored


@pytest.mark.long
def test_a_half_installed_release_breaks_nothing(khive: Installation, site: Site) -> None:
    khive.start()
    pid = khive.status()["pid"]
    file = site.directory / "khive_workers" / "common" / "verb_thread.py"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[: len(whole) // 2] + "(")
    site.install(NEWER)
    (found,) = wait_until(lambda: khive.events("upgrade.not_yet"), "it was tried")
    assert "cannot be imported: " in found["problem"]
    assert found["release"] == khive.status()["upgrade"]["release"] == NEWER
    with RawSession(khive) as session:
        session.initialize()
        assert not session.tool("memory_remember", content="all goes on").get("isError")
        assert session.close() == 0
    assert khive.status()["version"] == __version__
    file.write_text(whole)
    wait_until(lambda: (s := khive.status_or_none()) and s["version"] == NEWER, "it has taken over")
    assert khive.status()["pid"] == pid
    assert len(khive.events("upgrade.not_yet")) == 1


@pytest.mark.long
def test_with_ask_it_waits_until_somebody_says_so(khive: Installation, site: Site) -> None:
    khive.configure('[supervisor]\nupgrade = "ask"\n')
    khive.start()
    pid = khive.status()["pid"]
    assert "is the release of this command" in khive.run("upgrade").stdout
    site.install(NEWER)
    wait_until(lambda: khive.status()["upgrade"]["state"] == "offered", "it is offered")
    assert f"upgrade {NEWER} is offered" in khive.run("status").stdout
    with RawSession(khive) as session:
        session.initialize()
        session.stdin.close()
        assert session.process.stderr is not None
        assert b"khive-supervisor upgrade" in session.process.stderr.read()
    assert khive.json("upgrade", "--check")["state"] == "ready"
    assert khive.status()["version"] == __version__
    told = khive.run("upgrade").stdout
    assert told == f"{NEWER} has taken over from {__version__} (pid {pid}).\n"
    assert khive.status()["version"] == NEWER
    # Back again, by the same command of the release before.
    site.install(__version__)
    assert khive.json("upgrade")["release"] == __version__
    assert khive.status()["version"] == __version__
    assert khive.status()["pid"] == pid


def test_what_cannot_take_over_is_refused_with_its_reasons(khive: Installation, site: Site) -> None:
    khive.start()
    khive.configure("[supervisor]\nno_such_setting = 1\n")
    site.install("0.0.9")
    refused = khive.run("upgrade", code=1)
    assert "no_such_setting" in refused.stdout
    assert khive.status()["version"] == __version__


def test_a_session_waits_for_an_installer_that_is_at_work(khive: Installation, site: Site) -> None:
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="before the installer came")
        wait_until(lambda: workers_of(khive), "the session is registered")
        file = site.directory / "khive_supervisor" / "attach" / "start.py"
        aside = file.read_text(encoding="utf-8")
        file.write_text("half a fi(")
        (worker,) = workers_of(khive)
        kill(worker)
        wait_until(lambda: not alive(worker), "the worker is gone")
        file.write_text(aside)
        assert session.tool("memory_recall", query="installer")["structuredContent"]["results"]
        assert session.close() == 0


@pytest.mark.long
def test_the_first_release_is_replaced_by_the_next_attach(
    khive: Installation, site: Site, tmp_path: Path
) -> None:
    tree = tmp_path / "first"
    tree.mkdir()
    archive = subprocess.run(["git", "-C", ROOT, "archive", FIRST], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    site.fill(tree)
    khive.run("start", "--background", "--quiet")
    callers = [Caller(khive, name) for name in ("ada", "bob", "cyd")]
    for caller in callers:
        caller.start()
    wait_until(lambda: len(workers_of(khive)) == 3, "three sessions are registered")
    workers = workers_of(khive)
    site.fill(ROOT)
    with RawSession(khive) as session:
        session.initialize()
        assert not session.tool("memory_remember", content="by the newer release").get("isError")
        assert session.close() == 0
    assert khive.status()["version"] == __version__
    wait_until(lambda: moved(khive, workers), "every session has a new worker")
    counts = [len(caller.answers) for caller in callers]
    wait_until(lambda: all(len(c.answers) > n for c, n in zip(callers, counts, strict=True)), "on")
    assert [caller.end() for caller in callers] == [0, 0, 0]
    assert not [a for caller in callers for a in caller.answers if a.get("isError")]
    stored = sum(len(caller.answers) for caller in callers) + 1
    assert khive.call("system.status")["store"]["entries"]["memory"] == stored
