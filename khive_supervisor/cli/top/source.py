"""Who is asked for what is shown: the supervisor and a worker for verbs, again after they went.

Nobody is started by looking. Answers come in a thread of their own, so that the screen stays quick
however slow they are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from khive_supervisor.cli.connection.finding import socket_of
from khive_supervisor.cli.connection.session import Verbs, command_hello
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError, NotRunning, ProtocolError, Unresponsive
from khive_supervisor.overview import now
from khive_supervisor.overview.asked import Failed, Page, Reply, Wish

#: What says that nobody is there, and not that somebody refuses.
_GONE = (NotRunning, Unresponsive, ProtocolError)


@dataclass(frozen=True, slots=True)
class OverviewAnswer:
    """What came of one look. `away` says why there is no page; then it is empty otherwise."""

    page: Page | None
    more: Reply | None = None
    away: str = ""


class OverviewSource:
    """Asks; made by the command's own thread, used by one thread at a time."""

    def __init__(self, config_file: str | None, clock: Callable[[], float] = time.time) -> None:
        self._config_file = config_file
        self._clock = clock
        # A command knows what it was not to take only in the thread that it began in.
        self._hello = command_hello(config_file)
        self._clients: dict[bool, ControlClient] = {}

    def look(self, more: Wish | None = None) -> OverviewAnswer:
        """Return what runs now, and what came of one more wish; never raises KhiveError."""
        try:
            page = self.page()
            return OverviewAnswer(page, self._fulfil(more) if more is not None else None)
        except KhiveError as error:
            self.close()
            return OverviewAnswer(None, away=error.message)

    def page(self) -> Page:
        """Return what runs now; raises KhiveError if nobody says."""
        replies = [self._fulfil(wish) for wish in now.wishes({})]
        return now.page(replies, {}, self._clock())

    def do(self, wish: Wish) -> str:
        """Do something; return why it was not done, or nothing. Never raises KhiveError."""
        try:
            found = self._fulfil(wish)
        except KhiveError as error:
            return f"{error.message} {error.hint}".strip()
        if isinstance(found, Failed):
            return found.why
        ended = "ended_at" in found and found.get("state") != "cancelled"
        return str(found.get("note", "")) if ended else ""

    def _fulfil(self, wish: Wish) -> Reply:
        try:
            found: Reply = self._client(wish.supervisor).request(wish.verb, dict(wish.args))
        except _GONE:
            raise
        except KhiveError as error:
            return Failed(f"{error.message} {error.hint}".strip())
        return found

    def _client(self, supervisor: bool) -> Verbs:
        client = self._clients.get(supervisor)
        if client is None:
            path = socket_of(self._config_file)
            if supervisor:
                client = ControlClient(path)
            else:
                client = ControlClient(path, "verbs", **self._hello)
            self._clients[supervisor] = client
        return client

    def close(self) -> None:
        """Close what is open; idempotent."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()


class OverviewWatcher:
    """Looks every so many seconds in a thread of its own, and at once when it is told to."""

    def __init__(
        self, source: OverviewSource, every: float, told: Callable[[OverviewAnswer], None]
    ) -> None:
        self._source = source
        self._every = every
        self._told = told
        self._now = threading.Event()
        self._more: Wish | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="khive-top-watcher")

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask_also(self, wish: Wish | None) -> None:
        """Ask this as well from now on; at once, if it is something new."""
        if wish != self._more:
            self._more = wish
            self.look_now()

    def look_now(self) -> None:
        """Look at once."""
        self._now.set()

    def _run(self) -> None:
        while True:
            self._now.clear()
            self._told(self._source.look(self._more))
            self._now.wait(self._every)


def in_background(config_file: str | None, wish: Wish, done: Callable[[str], None]) -> None:
    """Do something that may take long, on connections of its own; `done` is told why it failed."""
    source = OverviewSource(config_file)

    def run() -> None:
        done(source.do(wish))
        source.close()

    threading.Thread(target=run, daemon=True, name="khive-top-change").start()
