"""The replicator's process: serves turns to this node's writers, and applies what others write.

One thread does all of it in turn, since there is one writer at a time anyway: the connection to the
server, the replica and the writers' sockets are its. Two more answer the supervisor and connect.

    python -P -m khive_workers.replicator [--parent-fd N] [--do WHAT [--file FILE]]

It says `ready` on the parent's descriptor once it listens and has tried to reach the server, and on
stdout, as a line of JSON, whatever changes of how it stands. With --do it does one of
`errands` and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError, StoreError
from khive_supervisor.host.paths import make_private_directory
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.applying import Diverged
from khive_supervisor.sqlite.team.taken_mark import TakenMark, taken_file
from khive_supervisor.sqlite.team.turn_client import turn_socket
from khive_supervisor.team.messages import MessageKind
from khive_supervisor.team.order import (
    BATCH,
    LogCut,
    LoggedChange,
    LogPosition,
    OutOfOrder,
    RightsChanged,
    SchemaAhead,
    check_caught_up,
)
from khive_workers.common import runtime
from khive_workers.embedder.process import listen
from khive_workers.replicator import reads
from khive_workers.replicator.connecting import Connector
from khive_workers.replicator.following import Following
from khive_workers.replicator.renewal import PoliteErrand
from khive_workers.replicator.serving import TurnServer
from khive_workers.replicator.writers import Writers
from khive_workers.team import errands, tables
from khive_workers.team.server import ServerAway, TeamServer

log = logs.get("khive.replicator")

#: Seconds between two looks at the server, whether it tells of changes or not.
LOOK_EVERY = 1.0
#: Seconds between two times that changes are applied: while many are written, several at once.
FOLLOW_EVERY = 0.005
#: Seconds after which a server that was not heard of counts as away; and of the first attempt.
FIRST_ATTEMPT = 4.0


class Replicator:
    """A node's replicator; `ReplicaHost` for its turns."""

    def __init__(
        self, config: Config, mark: TakenMark, report: Callable[[dict[str, object]], None]
    ) -> None:
        self._store = SqliteStore(
            config.store.path, busy_timeout=config.store.busy_timeout, guarded=False
        )
        row = self._store.replica()
        if row is None:
            raise StoreError(
                f"{config.store.path} is no replica of a team's store.",
                hint="Move it away, and start again: the replica is made anew.",
            )
        self.node = row.node
        self._following = Following(self._store, row)
        self._report = report
        self._said: dict[str, object] = {}
        #: The highest number that was told of, and when changes may be applied next.
        self._told_of = 0
        self._follow_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._writers = Writers(self._selector)
        self._turns = TurnServer(self, self._writers, mark)
        self._wake_read, self._wake_write = os.pipe()
        self._server: TeamServer | None = None
        self._server_fd = -1
        self._stopping = False
        #: Why the replica is to be taken anew, once there is a server.
        self._misfit: Exception | None = None
        self._renewal = PoliteErrand("base")
        name = f"khive {row.node}"
        self._connector = Connector(lambda: tables.connect(config.store.url, name), self._wake)

    # --- its life -------------------------------------------------------------------------------

    def run(self, listening: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until `stop`; `ready` is called when the first attempt to connect is over."""
        self._selector.register(
            listening, selectors.EVENT_READ, lambda: self._writers.accept(listening)
        )
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        self._connector.want()
        self._connector.tried.wait(FIRST_ATTEMPT)
        self._woken()
        ready()
        next_look = 0.0
        while not self._stopping:
            if (now := time.monotonic()) >= next_look:
                self._look()
                next_look = now + LOOK_EVERY
            for key, _ in self._selector.select(self._patience(next_look)):
                key.data()
            self._turns.serve()
            self._follow_told()
            self._answer_readers()

    def _patience(self, next_look: float) -> float:
        """Return the seconds until something is to be done that nobody tells of."""
        due = min(next_look, self._follow_at) if self._told_of else next_look
        return max(0.0, due - time.monotonic())

    def stop(self) -> None:
        """Have `run` return soon; may be called by a signal's handler."""
        self._stopping = True
        self._wake()

    def close(self) -> None:
        """Let go of the server, the replica and the writers."""
        self._writers.close()
        if self._server is not None:
            self._server.close()
        self._renewal.end()
        self._following.purges.end()
        self._store.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"w")

    def _woken(self) -> None:
        """Take a connection that has arrived."""
        if self._connector.tried.is_set() and not self._stopping:
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(self._wake_read, False)
                os.read(self._wake_read, 64)
        if self._server is None and (found := self._connector.take()) is not None:
            self._use(found)
            self._look()

    # --- the server -----------------------------------------------------------------------------

    def _use(self, server: TeamServer) -> None:
        self._server, self._server_fd = server, server.fileno()
        self._selector.register(self._server_fd, selectors.EVENT_READ, self._told)
        log.info("team.connected", server=server.host, node=self.node)

    def _drop_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            self._selector.unregister(self._server_fd)  # it may be closed, and has no number then
            server.close()
            self._following.away()
            self._connector.want()

    def _told(self) -> None:
        """The server tells something: changes, or its end."""
        try:
            if self._server is not None:
                self._told_of = max(self._told_of, self._server.told())
        except KhiveError as error:
            self.failed(error)

    def _follow_told(self) -> None:
        """Apply what was told of, unless that was done just now."""
        server, now = self._server, time.monotonic()
        if server is None:
            self._told_of = 0
            return
        try:
            self._told_of = max(self._told_of, server.has_told)
            if self._told_of and now >= self._follow_at:
                told, self._told_of = self._told_of, 0
                if told > self._following.expected().number:
                    self._follow(server)
                    self._follow_at = time.monotonic() + FOLLOW_EVERY
        except (KhiveError, OutOfOrder, SchemaAhead) as error:
            self.failed(error)

    def _look(self) -> None:
        """Look at the server, as each second: what was not told of, its clock, who is there."""
        server = self._server
        try:
            if server is not None:
                self._mend(server)
                head = self._following.look(server)
                if head != self._following.here.number:
                    self._follow(server)
                    check_caught_up(self._following.position().number, head)
                self._following.problem = ""
                if self._following.base_is_due():
                    self._renewal.begin()
        except (KhiveError, OutOfOrder, SchemaAhead) as error:
            self.failed(error)
        self._say()

    def _mend(self, server: TeamServer) -> None:
        """Take the replica anew if it has been found not to fit; raises KhiveError."""
        misfit = self._misfit
        if misfit is None:
            return
        kept, lost = self._following.retake(
            server, keep=not isinstance(misfit, LogCut | RightsChanged)
        )
        self._misfit = None
        log.warning("team.taken_anew", why=str(misfit), kept=kept, entries_only_there=lost)

    def _follow(self, server: TeamServer) -> None:
        while changes := server.newer(self._following.position().number):
            self._following.apply(changes)
            if len(changes) < BATCH:
                return

    def _say(self) -> None:
        """Tell the supervisor how it stands, if that is news."""
        connected = self._server is not None and not self._following.problem
        said: dict[str, object] = {
            "state": "connected" if connected else "away" if self._server is None else "stopped",
            "node": self.node,
            "server": self._server.host if self._server is not None else "",
            "server_version": self._server.version if self._server is not None else "",
            "writers": len(self._writers),
            "problem": self._following.problem or self._connector.problem,
            **self._following.numbers(),
        }
        if said != self._said:
            self._said = said
            self._report(said)

    # --- for turns ------------------------------------------------------------------------------

    def server(self) -> TeamServer | None:
        """Return the connection, if there is one now."""
        return self._server

    def server_again(self, patience: float) -> TeamServer | None:
        """Return a new connection, waiting for one; None: there is none."""
        found = self._connector.take(patience)
        if found is not None:
            self._use(found)
        return found

    def position(self) -> LogPosition:
        """Return how far the replica has come."""
        return self._following.position()

    def expected(self) -> LogPosition:
        """Return how far the replica is, or will be once the writer before has committed."""
        return self._following.expected()

    def settle(self, newer: list[LoggedChange]) -> LogPosition:
        """Have the replica hold what was expected and what is newer; return how far it is then."""
        assert self._server is not None
        return self._following.settle(self._server, newer)

    @property
    def undivided(self) -> bool:
        """Whether all members see everything, as far as this node has come."""
        return self._following.undivided

    def note_undivided(self, undivided: bool) -> None:
        """Have writers know whether their changes may be in one part."""
        self._following.note_undivided(undivided)

    def accepted(self, position: LogPosition) -> None:
        """Note that a writer is about to commit a change that the server has."""
        self._following.accepted(position)

    def failed(self, error: Exception) -> None:
        """Note why the server or the replica cannot be used now."""
        text = str(error).partition("\n")[0]
        log.warning("team.failed", error=text)
        self._following.accepted(None)
        if isinstance(error, ServerAway):
            self._connector.problem = text
            self._drop_server()
        else:
            self._following.problem = text
            if isinstance(error, Diverged | OutOfOrder):
                self._misfit = error
        self._say()

    def problem(self) -> str:
        """Return why not; empty if nothing is known."""
        return self._following.problem or self._connector.problem

    # --- writers and readers --------------------------------------------------------------------

    def _answer_readers(self) -> None:
        """Answer those that ask for the newest change, all by one look, or for a change."""
        asked, self._writers.readers = self._writers.readers, []
        behind = [one for one, message in asked if message.kind is MessageKind.CATCH_UP]
        if behind:
            answer = reads.caught_up(self, self._follow)
            for reader in behind:
                reader.send(answer)
        for reader, message in asked:
            if message.kind is MessageKind.FIND:
                reader.send(reads.found(self, message))


def _answer_supervisor(parent: int, stop: Callable[[], None]) -> None:
    """Answer the supervisor when it asks whether this lives, and end with it."""

    def answer() -> None:
        os.set_blocking(parent, True)
        while runtime.answer_parent(parent):
            pass
        stop()

    threading.Thread(target=answer, name="parent", daemon=True).start()


def _print(said: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _serve(config: Config, parent: int | None) -> int:
    path = turn_socket(config.store.path)
    make_private_directory(os.path.dirname(path))
    listening = listen(path)
    mark = TakenMark(taken_file(path), make=True)
    replicator = Replicator(config, mark, _print)

    def ready() -> None:
        if parent is not None:
            os.write(parent, b"ready\n")

    signal.signal(signal.SIGTERM, lambda *_: replicator.stop())
    signal.signal(signal.SIGINT, lambda *_: replicator.stop())
    if parent is not None:
        _answer_supervisor(parent, replicator.stop)
    try:
        replicator.run(listening, ready)
    finally:
        replicator.close()
        listening.close()
        mark.close()
        for one in (path, taken_file(path)):
            os.unlink(one)
    return exitcodes.OK


def main(argv: list[str]) -> int:
    """Run the process; returns its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int)
    parser.add_argument("--do", choices=errands.ERRANDS)
    parser.add_argument("--file", default="")
    options = parser.parse_args(argv)
    runtime.reset_signals()
    runtime.name_process("khive-replicat")
    config = snapshot.from_environment()
    logs.to_stderr("warning")
    try:
        if options.do:
            return errands.run(config, options.do, options.file)
        return _serve(config, options.parent_fd)
    except KhiveError as error:
        sys.stderr.write(json.dumps(error.as_dict()) + "\n")
        return error.exit_code
