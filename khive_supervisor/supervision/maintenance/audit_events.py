"""What the audit chain is told of the supervisor's acts: names and outcomes, never values.

A value may be somebody's secret, in an argument of a command, say. The digest of a configuration
tells whether it is the same one. An entry keeps the time of its act, however late it is written.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from khive_supervisor import __version__, logs
from khive_supervisor.audit import actors
from khive_supervisor.config.changes import diff, digest_of
from khive_supervisor.config.settings.model import Config
from khive_supervisor.store.audit import AuditLog
from khive_supervisor.supervision.maintenance.outbox import InThread, Outbox
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.audit")

#: Entries that may wait; beyond that the disk has been full for long, and the log has to do.
WAITING = 1000


class AuditEvents:
    """The supervisor's entries, in the order of its acts; used only from its loop."""

    def __init__(self, in_thread: InThread, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        #: Why the last attempt failed; empty: it did not.
        self._why_not = ""
        self._notes: deque[Callable[[AuditLog], object]] = deque()
        self.outbox = Outbox(self._write_notes, self._not_written)

    def note(
        self,
        kind: str,
        subject: str,
        detail: Mapping[str, Any],
        *,
        actor: str = actors.SUPERVISOR,
        always: bool = False,
    ) -> None:
        """Have an entry written, soon and in this order."""
        if len(self._notes) >= WAITING:
            log.error("audit.lost", kind=kind, subject=subject, actor=actor, detail=dict(detail))
            return
        at = self._wall_clock()
        self._notes.append(
            lambda chain: chain.record(kind, subject, detail, actor=actor, always=always, at=at)
        )
        self.outbox.wake()

    async def _write_notes(self) -> None:
        while self._notes:
            write = self._notes[0]
            await self._in_thread(lambda store: write(store.audit))  # noqa: B023 - awaited
            self._notes.popleft()
            self._why_not = ""

    def _not_written(self, error: Exception) -> None:
        if str(error) == self._why_not:
            return  # it is tried each second, and a team's server may be away for hours
        self._why_not = str(error)
        log.warning("audit.not_written", waiting=len(self._notes), error=self._why_not)

    def started(self, config: Config, file: str | None) -> None:
        """Note that a supervisor begins to serve, by this configuration."""
        about = {"version": __version__, "pid": os.getpid()}
        who = actors.user()
        self.note("supervisor.started", actors.SUPERVISOR, about, actor=who)
        # Also when it says that nothing else will be recorded.
        detail = _configuration(config, file)
        self.note("configuration.loaded", actors.CONFIGURATION, detail, actor=who, always=True)

    async def stopped(self, who: str) -> None:
        """Note that it has ended everything it had started, and write what waits."""
        self.note("supervisor.stopped", actors.SUPERVISOR, {}, actor=who)
        await self.outbox.flush()


def _configuration(config: Config, file: str | None) -> JsonObject:
    """Return what is recorded of the configuration that a supervisor starts with."""
    return {
        "digest": digest_of(config),
        "file": file,
        "not_default": [change.key for change in diff(Config(), config).settings],
        "roles": [role.role for role in config.roles],
        "audit": config.audit.enabled,
    }
