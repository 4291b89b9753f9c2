"""Starting a supervisor in the background, for as long as somebody waits for it.

A command that waits is at the other end of a pipe, the lifeline: its end means that nobody does any
more, and then the start ends, and what it has started with it, unless that listens by then. For a
session, the process that is started becomes the supervisor; it tells on a pipe where that listens
(`socket PATH`), or that there is none (`exit CODE`).
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.finding import (
    LISTEN_DEADLINE,
    status_of,
    unreachable,
    waits_to_listen,
)
from khive_supervisor.cli.connection.waiting import SAY_AFTER, Wait
from khive_supervisor.cli.render.output import note
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings.service import ENVIRONMENT_ALLOWED
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import (
    AlreadyRunning,
    KhiveError,
    NotRunning,
    ProtocolError,
    Unresponsive,
    VersionMismatch,
)
from khive_supervisor.host import holder, paths
from khive_supervisor.host.holder import Holder
from khive_supervisor.supervision.lock import owned_by
from khive_supervisor.text.plain_json import JsonObject

#: Seconds that a background start may take until it is ready.
START_DEADLINE = 60.0
#: How often one is started that is killed before it answers.
START_ATTEMPTS = 3
#: What the supervisor that is being started writes: it listens, it is ready.
LISTENING, READY = b"l", b"r"


@dataclass(frozen=True, slots=True)
class Start:
    """What is to be started.

    Attributes:
        configuration: the configuration in force here.
        config_file: as it was named on the command line.
        path: where the supervisor would listen.
        http: whether it serves HTTP whatever is configured.
        deliberate: whether it may migrate another environment's store.
    """

    configuration: LoadedConfig
    config_file: str | None
    path: str
    http: bool
    deliberate: bool = False

    @property
    def store(self) -> str:
        """The store that it would own."""
        return self.configuration.config.store.path


def start_or_find(start: Start, lifeline: int | None) -> tuple[JsonObject, bool]:
    """The status of a store's supervisor, and whether it ran before.

    `lifeline` is the descriptor whose end is the end of the wait; None: it has none.

    Raises:
        KhiveError: there is none to be had; the message says why.
        SystemExit: its own message is on stderr, and its code is this.
    """
    status = _present(start)
    if status is not None:
        return status, True
    for _ in range(START_ATTEMPTS):
        # One that was killed while it started, or just after, is no reason to give up at once.
        ran_before = not _launch(start, lifeline)
        status = _present(start)
        if status is not None:
            return status, ran_before
    raise NotRunning(
        f"A supervisor was started, but nobody answers at {start.path}.",
        hint="`khive-supervisor logs` says why; `khive-supervisor doctor` looks for it.",
    )


def start_in_background(config_file: str | None, *, deliberate: bool = False) -> None:
    """Start a supervisor and wait until it is ready.

    `deliberate`: somebody wants this very release, also for a store of another environment's.

    Raises:
        SystemExit: it did not become ready; its message is on stderr, and its code is this.
    """
    line, hold = os.pipe()  # however this process ends, the start does then
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--background", "--quiet"]
    argv += ["--whichever", "--lifeline-fd", str(line)]
    argv += ["--config", config_file] if config_file else []
    argv += ["--deliberate"] if deliberate else []
    # What this session is known by must not become everybody's: the supervisor serves all.
    env = {n: v for n, v in os.environ.items() if n not in ENVIRONMENT_ALLOWED}
    try:
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=env, pass_fds=[line]) as start:
            try:
                code = start.wait(SAY_AFTER)
            except subprocess.TimeoutExpired:
                note("Waiting for the supervisor that is being started.")
                code = start.wait()
    finally:
        for fd in (line, hold):
            os.close(fd)
    if code:
        raise SystemExit(code)  # what is wrong has been said


def replace_old(config_file: str | None) -> None:
    """Take the place of a supervisor of 0.1.0 in this environment.

    Raises:
        SystemExit: it could not be replaced, or is another environment's; why is on stderr.
    """
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "upgrade", "--in-place"]
    argv += ["--config", config_file] if config_file else []
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(done.returncode)


def serve_or_find(start: Start, tell: int, serve: Callable[[Announcement], None]) -> None:
    """Be the supervisor for a session that waits, or tell it who is.

    Raises:
        KhiveError: there is none to be had, which has been told.
    """
    starter = Announcement(tell, b"socket %s\n" % os.fsencode(start.path))
    try:
        for _ in range(START_ATTEMPTS):
            status = _present(start)
            if status is not None:
                _tell(tell, f"socket {status['socket']}")
                return
            starter.check()
            try:
                serve(starter)
            except AlreadyRunning:
                continue  # another start was before it
            return
        raise NotRunning(f"Nobody stays at {start.path} for long enough to be found.")
    except KhiveError as error:
        if not starter.said:
            tell_end(tell, error)
        raise


def tell_end(tell: int | None, error: KhiveError) -> None:
    """Tell who waits, if anybody does, that there is no supervisor to be had."""
    if tell is not None:
        _tell(tell, f"exit {error.exit_code}")


def _tell(tell: int, word: str) -> None:
    """Tell one line to who waits, if he is still there."""
    with contextlib.suppress(OSError):
        os.write(tell, f"{word}\n".encode("utf-8", "surrogateescape"))


def _present(start: Start) -> JsonObject | None:
    """The status of who holds the store, as soon as he listens; None if nobody does.

    Raises:
        Unresponsive: he does not listen, or does not answer.
    """
    wait = Wait(LISTEN_DEADLINE)
    while True:
        holds = holder.of(start.store)
        path = (holds.socket if holds is not None else None) or start.path
        status = _status_or_none(path)
        if status is not None and (holds is not None or _same_store(status, start.store)):
            return status
        if holds is None:
            return None
        if not wait.goes_on(waits_to_listen(holds, path)):
            raise unreachable(holds, path)


def _same_store(status: JsonObject, store: str) -> bool:
    return os.path.realpath(str(status["store"])) == os.path.realpath(store)


def _status_or_none(path: str) -> JsonObject | None:
    try:
        with ControlClient(path) as client:
            return status_of(client)
    except VersionMismatch:
        raise
    except (NotRunning, ProtocolError):  # nobody, or somebody who is ending
        return None


def _launch(start: Start, lifeline: int | None) -> bool:
    """Start one in a session of its own and wait for its announcement, or its end.

    SIGHUP is blocked in it from the first instant, as it is here: see entry.main.
    Returns whether it was the one; otherwise another start was before it.
    """
    with _started(start) as (child, ready):
        if _gets_ready(ready, child, lifeline):
            return True
    complaint = child.stderr.read() if child.stderr is not None else b""
    code = child.wait()
    if code == exitcodes.ALREADY_RUNNING:
        return False
    if code < 0:
        return True
    sys.stderr.write(complaint.decode("utf-8", "replace"))
    if code == exitcodes.OK:
        raise NotRunning("The supervisor was stopped before it was ready.")
    raise SystemExit(code or exitcodes.FAILURE)


def _argv(start: Start, ready: int) -> list[str]:
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--ready-fd", str(ready)]
    argv += ["--config", os.path.abspath(start.config_file)] if start.config_file else []
    argv += ["--http"] if start.http else []
    return argv + (["--deliberate"] if start.deliberate else [])


@contextlib.contextmanager
def _started(start: Start) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A supervisor that starts, and the descriptor on which it says how far it is."""
    ready, theirs = os.pipe()
    child = subprocess.Popen(
        _argv(start, theirs),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[theirs],
        # A service manager that listens to whoever runs this does not mean the supervisor.
        env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
    )
    os.close(theirs)
    try:
        yield child, ready
    finally:
        os.close(ready)


def _gets_ready(ready: int, child: subprocess.Popen[bytes], lifeline: int | None) -> bool:
    """Wait until the supervisor is ready; False if it ended before.

    Raises:
        NotRunning: nobody waits for it any more, or it takes too long; it was ended.
    """
    until = time.monotonic() + START_DEADLINE
    sources = [ready] if lifeline is None else [ready, lifeline]
    while True:
        readable, _, _ = select.select(sources, [], [], max(0.0, until - time.monotonic()))
        if ready in readable:
            heard = os.read(ready, 16)
            if not heard or READY in heard:
                return bool(heard)
            sources = [ready]  # it listens: somebody may have come to it by now
        else:  # the lifeline has ended, or the time is over
            child.kill()
            late = f"The supervisor was not ready within {START_DEADLINE:g} s."
            why = "Nobody waits for this start any more; it was ended." if readable else late
            raise NotRunning(why)


class Announcement:
    """What a supervisor that is started says to its starter, on a descriptor.

    `word` says that it listens; what waits for less than that it is ready need not read on.
    """

    def __init__(self, fd: int, word: bytes = LISTENING) -> None:
        self._fd = fd
        self._word = word
        #: Whether it was said that clients can connect.
        self.said = False

    def check(self) -> None:
        """Raise NotRunning if the starter has gone already: then nobody waits for this start."""
        poll = select.poll()
        poll.register(self._fd, 0)  # the end is always reported
        if poll.poll(0):
            raise NotRunning("Nobody waits for this start any more.")

    def listening(self) -> None:
        """Clients can connect; raises NotRunning if nobody waits for that any more."""
        self.check()
        self.said = True
        try:
            os.write(self._fd, self._word)
        except OSError as error:
            raise NotRunning("Nobody waits for this start any more.") from error

    def ready(self, _status: object) -> None:
        """Everything is ready; keeps nothing of the starter's terminal."""
        null = os.open(os.devnull, os.O_WRONLY)
        for fd in (1, 2):
            os.dup2(null, fd)
        os.close(null)
        with contextlib.suppress(OSError):  # it waited for less
            os.write(self._fd, READY)
        os.close(self._fd)


def place_to_listen(found: str | None, store: str) -> str:
    """Where a supervisor of a store listens: at its configuration's socket, if that is free.

    At one named by the store if the other one is that of another store's supervisor: nobody is
    locked out because of a name.
    """
    path = paths.socket_path(found)
    if holder.of(store) is not None:
        return path  # nobody else starts there
    try:
        status = _status_or_none(path)
    except Unresponsive:
        return holder.store_socket(store)
    except KhiveError:
        return path  # what is there is looked at again when it is bound
    if status is None or _same_store(status, store):
        return path
    return holder.store_socket(store)


def refuse_if_served(path: str, store: str) -> None:
    """Refuse a start whose store is served at its socket, although the lock's file is gone.

    Raises:
        AlreadyRunning: it is.
    """
    if holder.of(store) is not None or not os.path.exists(path):
        return  # the lock itself says who it is, or there is nobody
    with contextlib.suppress(Unresponsive, VersionMismatch):
        status = _status_or_none(path)
        if status is not None and _same_store(status, store):
            raise already(status, store)


def check_same(status: JsonObject, start: Start) -> None:
    """Say if the one that runs is another configuration's than the one to be started.

    Raises:
        AlreadyRunning: it is.
    """
    if status.get("config_file") != start.configuration.file:
        raise already(status, start.store)


def already(status: JsonObject, store: str) -> AlreadyRunning:
    """The error of a start that finds a supervisor of its store."""
    who = Holder(status["pid"], status["socket"], status.get("config_file"))
    return owned_by(store, who)
