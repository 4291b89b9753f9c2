"""Replacing a supervisor that cannot hand over: of 0.1.0, or of another protocol.

It is stopped by its own means, and the release of this command is started, both under the lock that
attaches take before they start one. Its sessions go on with their workers, and are moved.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from khive_supervisor import __version__
from khive_supervisor.cli.connection.finding import holder_of, socket_of, store_of
from khive_supervisor.cli.connection.starting import start_in_background
from khive_supervisor.cli.connection.waiting import Wait
from khive_supervisor.cli.render.answers import HandoverShown
from khive_supervisor.cli.render.output import note
from khive_supervisor.control.client import ControlClient, owner
from khive_supervisor.errors import Denied, KhiveError, NotRunning, Unresponsive
from khive_supervisor.host.processes import alive, words_of
from khive_supervisor.supervision.control.moving import moved
from khive_supervisor.text.plain_json import JsonObject

#: Seconds in which an old supervisor must have ended: it waits for the tasks at work.
END_DEADLINE = 60.0
#: Seconds for which sessions are waited for that have a call at work; then the new supervisor
#: moves them by itself, when they register.
MOVE_DEADLINE = 3.0
#: Seconds that the trial of this release may take.
TRIAL_DEADLINE = 60.0
#: What is said of a supervisor of another environment.
ANOTHER = (
    "The supervisor that runs is {version} of another environment (pid {pid}), and cannot serve "
    f"{__version__}."
)


def is_of_this_environment(status: JsonObject) -> bool:
    """Return whether a supervisor runs in the environment of this command."""
    if "prefix" in status:
        return os.path.realpath(str(status["prefix"])) == os.path.realpath(sys.prefix)
    return _interpreter(int(status["pid"])) == _home(sys.executable)


def _interpreter(pid: int) -> str | None:
    """Where the interpreter of a process lies, by the name it was started with."""
    name = os.fsdecode(next(iter(words_of(pid, "cmdline")), b""))
    if not name:
        done = subprocess.run(
            ["/bin/ps", "-o", "command=", "-p", str(pid)],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        name = done.stdout.split(" ")[0].strip()
    return _home(name) if os.path.isabs(name) else None


def _home(executable: str) -> str:
    """The directory of an environment's programs: its interpreter may be a link out of it."""
    return os.path.realpath(os.path.dirname(executable))


def replace(config_file: str | None, status: JsonObject | None, *, check: bool) -> HandoverShown:
    """Stop the old supervisor and start this release; `status` is the old one's, if it told.

    Raises:
        KhiveError: it does not end, or the new one does not start.
    """
    running = status["version"] if status else "another protocol's release"
    problems = _problems(config_file)
    answer: HandoverShown = {
        "state": "refused" if problems else "ready",
        "running": running,
        "release": __version__,
        "problems": problems,
    }
    if problems or check:
        return answer
    with _turn(config_file):
        holds = holder_of(config_file)
        if holds is not None and (holds.release is None or status is None):
            note(f"{__version__} takes the place of {running} (pid {holds.pid}).")
            _stop(config_file, holds.pid)
        start_in_background(config_file, deliberate=True)
    _move(status)
    found = holder_of(config_file)
    return {**answer, "state": "done", "pid": found.pid if found else None}


def _problems(config_file: str | None) -> list[str]:
    """Why this release could not run; it is tried in an interpreter of its own."""
    argv = [sys.executable, "-P", "-m", "khive_supervisor.supervision.probe"]
    argv += ["--config", os.path.abspath(config_file)] if config_file else []
    store = store_of(config_file)
    argv += ["--store", store] if store else []
    try:
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=TRIAL_DEADLINE
        )
        return [str(problem) for problem in json.loads(done.stdout)["problems"]]
    except subprocess.TimeoutExpired:
        return [f"It did not answer within {TRIAL_DEADLINE:g} s."]
    except (ValueError, LookupError):
        return done.stderr.strip().splitlines()[-1:] or ["It did not say what it is."]


@contextlib.contextmanager
def _turn(config_file: str | None) -> Iterator[None]:
    """Be the only one that starts a supervisor: sessions wait for this lock as well."""
    path = socket_of(config_file) + ".starting"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        wait = Wait(END_DEADLINE)
        while not _locked(lock):
            if not wait.goes_on():
                raise Unresponsive(f"Another start has not ended within {END_DEADLINE:g} s.")
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(config_file: str | None, pid: int) -> None:
    """Have it end by itself: roles finish or are asked to, sessions go on."""
    path = socket_of(config_file)
    try:
        with ControlClient(path) as client:
            client.request("stop", {"sessions": False})
    except NotRunning:
        _terminate(pid)
    except Denied:
        raise
    except KhiveError:
        _terminate(owner(path) or pid)
    wait = Wait(END_DEADLINE)
    while alive(pid):
        if not wait.goes_on():
            raise Unresponsive(
                f"The supervisor (pid {pid}) has not ended within {END_DEADLINE:g} s.",
                hint=f"`kill -9 {pid}` ends it; nothing that was acknowledged is lost.",
            )


def _terminate(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _move(status: JsonObject | None) -> None:
    """Move the old supervisor's sessions to workers of the new one, each between two calls."""
    sessions = status["sessions"] if status else []
    left = [(s["pid"], s.get("client_pid")) for s in sessions if s["kind"] == "session"]
    wait = Wait(MOVE_DEADLINE)
    while left and wait.goes_on():
        left = [(pid, client) for pid, client in left if alive(pid) and not moved(pid, client)]
