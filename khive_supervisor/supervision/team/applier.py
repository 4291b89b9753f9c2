"""The child that applies waiting writes: started when some wait and the server is connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from khive_supervisor import exitcodes, logs
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.states import ProcessEvent
from khive_supervisor.team.waiting import Standing
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.waiting")

#: Seconds before what is to be tried later is tried; doubled at each time, up to the second.
RETRY_AFTER, RETRY_AFTER_MAX = 1.0, 60.0
#: It says how far it is rather than answer; one call may wait for the store's lock.
_LIMITS = HangLimits(silent=120.0, busy=float("inf"), suspect=20.0)


@dataclass(slots=True, eq=False)
class ApplierChild(Child):
    """Runs `khive_workers.waiting`; used only from the supervisor's loop.

    Attributes:
        connected: says whether the team's server is.
        standing: what waits, as it was last looked at.
    """

    name: str = "applier"
    module: str = "khive_workers.waiting"
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    starting: HangLimits = _LIMITS
    reports: ClassVar[bool] = True
    connected: Callable[[], bool] = bool
    standing: Standing = field(default_factory=Standing)
    failures: int = 0
    _not_before: float = 0.0

    @property
    def problem(self) -> str:
        """Return why what waits could not be applied; empty if it was, or is being."""
        failed = self.failures and self.standing.waiting
        return self.last_words or self.last_exit if failed else ""

    def found(self, standing: Standing) -> None:
        """Take a look at what waits into account: start, if anything can be applied now."""
        self.standing = standing
        due = self.clock() >= self._not_before
        if standing.waiting and due and not self.running and self.connected():
            self._cancel_timer()
            self.last_words = ""
            self.start()

    def connection_changed(self) -> None:
        """Whatever failed before, the server may be there now."""
        self.failures, self._not_before = 0, 0.0

    def reported(self, said: JsonObject) -> None:
        """Log how far it is; what is applied was worth the attempt, however it ends."""
        self.failures = 0
        log.debug("waiting.progress", step=said)

    def _died(self, pid: int, code: int) -> None:
        """It has applied what there was, or something is to be tried later."""
        if code == exitcodes.OK:
            self.connection_changed()
            self.over(ProcessEvent.ENDED)
            log.info("waiting.applied", applier=pid)
            return
        self.failures += 1
        delay = min(RETRY_AFTER_MAX, RETRY_AFTER * 2 ** (self.failures - 1))
        self._not_before = self.clock() + delay
        self.over(ProcessEvent.DIED)
        log.warning("waiting.later", applier=pid, exit=self.last_exit, again_after=delay)
