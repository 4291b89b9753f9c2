"""What has become of the database's file while the supervisor runs, for `status` and the log.

Whoever uses the store notices by itself (`sqlite.engine.file_identity`); people are told here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from khive_supervisor import logs
from khive_supervisor.sqlite.engine import file_identity

log = logs.get("khive.supervisor")


class StoreWatch:
    """Looks at the path once a round; used only from the supervisor's loop."""

    def __init__(self, path: str, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._wall_clock = wall_clock
        self._seen: file_identity.Identity = None
        #: Why nothing can be stored now; empty while it can.
        self.problem = ""
        #: What has happened to the file since the start; empty: nothing.
        self.note = ""

    def before_start(self) -> None:
        """Remember whether there was a store that is not there any more."""
        if file_identity.was_here(self._path):
            self.note = (
                f"The database that was at {self._path} until the last run is gone, and an empty "
                "one was begun"
            )

    def started(self) -> None:
        """The store is open."""
        self._seen = self._look()
        if self.note:
            self.note += f" {self._now()}."
            log.error("store.begun_anew", store=self._path, note=self.note)

    def look(self) -> None:
        """See what is there now."""
        before, self.problem = self.problem, ""
        found = self._look()
        if found is not None and found != self._seen:
            self._seen = found
            self.note = f"The database was replaced by another file {self._now()}."
            log.warning("store.replaced", store=self._path)
        if self.problem and not before:
            log.error("store.gone", store=self._path, problem=self.problem)

    def _look(self) -> file_identity.Identity:
        try:
            found = file_identity.identity(self._path)
        except OSError as error:
            self.problem = f"The store {self._path} cannot be reached: {error.strerror}."
            return None
        if found is None:
            self.problem = str(file_identity.gone(self._path))
        return found

    def _now(self) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._wall_clock()))
        return f"at {stamp}"
