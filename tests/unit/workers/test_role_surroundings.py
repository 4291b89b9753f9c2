"""What a function changes around it is as before for the next task, and what it leaves is told."""

from __future__ import annotations

import locale
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from khive_workers.role.baseline import ProcessBaseline


def _state() -> dict[str, object]:
    mask = os.umask(0)
    os.umask(mask)
    return {
        "cwd": os.getcwd(),
        "environ": {n: v for n, v in os.environ.items() if n != "PYTEST_CURRENT_TEST"},
        "umask": mask,
        "path": list(sys.path),
        "argv": list(sys.argv),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "locale": locale.setlocale(locale.LC_ALL),
        "timeout": socket.getdefaulttimeout(),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "timers": [signal.getitimer(timer)[0] for timer in (signal.ITIMER_REAL,)],
    }


def _delete_everything() -> None:
    for name in list(os.environ):
        del os.environ[name]


def _replace_streams() -> None:
    sys.stdout = sys.stderr = sys.__stdin__  # type: ignore[assignment]  # as a careless handler does


#: What functions do to the process that all of a worker's tasks share.
CHANGES: dict[str, Callable[[], object]] = {
    "directory": lambda: os.chdir("/"),
    "a variable": lambda: os.environ.update(LEAK="x"),
    "another variable": lambda: os.environ.update(HOME="/elsewhere"),
    "no variables": _delete_everything,
    "umask": lambda: os.umask(0o777),
    "path": lambda: sys.path.insert(0, "/leak"),
    "another path": lambda: setattr(sys, "path", ["/leak"]),
    "arguments": lambda: sys.argv.append("leak"),
    "streams": _replace_streams,
    "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 3600),
    "alarm": lambda: signal.alarm(3600),
    "signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1,)),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "timeout": lambda: socket.setdefaulttimeout(1.0),
}


@pytest.fixture
def as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProcessBaseline]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    before = ProcessBaseline(str(tmp_path))
    yield before
    before.restore()


@pytest.mark.parametrize("change", CHANGES)
def test_what_one_task_changes_the_next_never_sees(as_it_was: ProcessBaseline, change: str) -> None:
    before = _state()
    CHANGES[change]()
    as_it_was.restore()
    assert _state() == before


def test_a_directory_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path)
    before = ProcessBaseline(str(tmp_path / "gone"))
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError):
        before.restore()


def test_threads_that_are_left_are_named(as_it_was: ProcessBaseline) -> None:
    over = threading.Event()
    left = threading.Thread(target=over.wait, name="left-behind")
    left.start()
    try:
        assert as_it_was.threads_left() == ["left-behind"]
    finally:
        over.set()
        left.join()
    assert as_it_was.threads_left() == []
