"""A newer release takes over in place: nothing is refused, lost or done twice."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Installation, RawSession, wait_until

from khive_supervisor import __version__

NEWER = "99.0.0"


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
        self.join(30)
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


def test_a_half_installed_release_breaks_nothing(khive: Installation, site: Site) -> None:
    khive.start()
    pid = khive.status()["pid"]
    file = site.directory / "khive_workers" / "verb_thread.py"
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole[: len(whole) // 2] + "(")
    site.install(NEWER)
    (found,) = wait_until(lambda: khive.events("upgrade.not_yet"), "it was tried")
    assert "SyntaxError" in found["problem"]
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
