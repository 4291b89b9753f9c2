"""The index builder: one short-lived child at a time, started when there is something to build."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypedDict

from khive_supervisor import exitcodes, logs
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.states import ProcessEvent
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.builder")

#: Seconds before a builder that failed is tried again; doubled at each failure, up to the second.
RETRY_AFTER, RETRY_AFTER_MAX = 2.0, 300.0
#: It says how far it is rather than answer. It may wait for the embedder and for the store's lock;
#: at its priority it may wait for a processor for as long as others want one.
LIMITS = HangLimits(silent=120.0, busy=float("inf"), suspect=20.0)
#: Of one that cannot be started at all.
POLICY = RestartPolicy(backoff_max=RETRY_AFTER_MAX)
#: What a build begins with beside the builder's own arguments, if it is asked for.
FORCE = "--force"


class BuilderStatus(TypedDict):
    """What `status` shows of the builder."""

    running: bool
    pid: int | None
    failures: int
    hung: int
    last_exit: str
    progress: JsonObject


@dataclass(slots=True, eq=False)
class Builder(Child):
    """Runs the builder; used only from the supervisor's loop."""

    name: str = "builder"
    module: str = "khive_workers.index_builder"
    policy: RestartPolicy = POLICY
    starting: HangLimits = LIMITS
    reports: ClassVar[bool] = True
    failures: int = 0
    progress: JsonObject = field(default_factory=dict)
    _not_before: float = 0.0

    def build(self, reason: str, *, force: bool = False) -> bool:
        """Return whether one was started: not if one runs, or the last failure is too recent.

        Args:
            reason: why, for `status`.
            force: whatever failed before, and however little is new.
        """
        if self.running or (self.clock() < self._not_before and not force):
            return False
        self._cancel_timer()
        self.arguments = (FORCE,) if force else ()
        self.progress = {"event": "started", "reason": reason}
        self.start()
        return self.running

    def reported(self, said: JsonObject) -> None:
        """Show how far it is."""
        self.progress = said
        if self.progress.get("event") != "embedding":
            log.info("builder.progress", step=self.progress)

    def _died(self, pid: int, code: int) -> None:
        """It has done what there was, or failed; whoever wants it next starts it again."""
        self.progress = {}
        if code == exitcodes.OK:
            self.failures = 0
            self.over(ProcessEvent.ENDED)
            log.info("builder.done", builder=pid)
            return
        self.failures += 1
        delay = min(RETRY_AFTER_MAX, RETRY_AFTER * 2 ** (self.failures - 1))
        self._not_before = self.clock() + delay
        self.over(ProcessEvent.DIED)
        log.warning("builder.failed", builder=pid, exit=self.last_exit, again_after=delay)

    def progress_status(self) -> BuilderStatus:
        """Return what `status` shows."""
        return {
            "running": self.running,
            "pid": self.pid,
            "failures": self.failures,
            "hung": self.hung,
            "last_exit": self.last_exit,
            "progress": self.progress,
        }
