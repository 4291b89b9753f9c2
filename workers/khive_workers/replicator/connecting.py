"""Connecting to a server that may be away, in a thread of its own: nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from khive_supervisor.errors import KhiveError
from khive_workers.team.server import TeamServer

#: Seconds until the second attempt, and the longest between two.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Connector:
    """Tries until there is a connection, once one is wanted; `arrived` tells of it.

    Attributes:
        problem: why the last attempt failed.
        tried: set once the first attempt has come to an end.
    """

    def __init__(self, connect: Callable[[], TeamServer], arrived: Callable[[], None]) -> None:
        self._connect = connect
        self._arrived = arrived
        self._wanted = threading.Event()
        self._found: TeamServer | None = None
        self._ready = threading.Event()
        self.problem = ""
        self.tried = threading.Event()
        threading.Thread(target=self._run, name="connector", daemon=True).start()

    def want(self) -> None:
        """Have a connection made."""
        self._ready.clear()
        self._wanted.set()

    def take(self, patience: float = 0.0) -> TeamServer | None:
        """Return the connection that was made, waiting so many seconds for it; None: none yet."""
        if not self._ready.wait(patience) if patience else not self._ready.is_set():
            return None
        found, self._found = self._found, None
        self._ready.clear()
        return found

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self._found = self._persist()
            self._ready.set()
            self._arrived()

    def _persist(self) -> TeamServer:
        pause = FIRST_PAUSE
        while True:
            try:
                found = self._connect()
            except KhiveError as error:
                self.problem = error.message
                self.tried.set()
                threading.Event().wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
            else:
                self.problem = ""
                self.tried.set()
                return found
