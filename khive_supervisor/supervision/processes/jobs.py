"""Children for one piece of work: started when there is any, ended when it is done, one at a time.

One of them is the index builder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, TypedDict

from khive_supervisor import exitcodes, logs
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.states import ProcessEvent
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.children")

#: It says how far it is rather than answer. It may wait for the embedder and for the store's lock;
#: at a low priority it may wait for a processor for as long as others want one.
LIMITS = HangLimits(silent=120.0, busy=float("inf"), suspect=20.0)
#: Of one that cannot be started at all.
POLICY = RestartPolicy(backoff_max=300.0)
#: What a build begins with beside the builder's own arguments, if it is asked for.
FORCE = "--force"


@dataclass(slots=True, eq=False)
class JobChild(Child):
    """Such a child; used only from the supervisor's loop.

    Attributes:
        failures: ends in a row that were none of success.
        retry: seconds before one that failed is tried again; doubled at each failure, up to the
            second number.
    """

    policy: RestartPolicy = field(default_factory=RestartPolicy)
    starting: HangLimits = LIMITS
    reports: ClassVar[bool] = True
    retry: ClassVar[tuple[float, float]]
    failures: int = 0
    _not_before: float = 0.0

    def run(self, *, force: bool = False) -> bool:
        """Return whether it was started: not while it runs, nor soon after a failure unforced."""
        if self.running or (self.clock() < self._not_before and not force):
            return False
        self._cancel_timer()
        self.start()
        return self.running

    def forgive(self) -> None:
        """Whatever failed before may succeed now."""
        self.failures, self._not_before = 0, 0.0

    def _died(self, pid: int, code: int) -> None:
        """It has done what there was, or failed; whoever wants it next starts it again."""
        if code == exitcodes.OK:
            self.forgive()
            self.over(ProcessEvent.ENDED)
            log.info(f"{self.name}.done", child_pid=pid)
            return
        first, most = self.retry
        delay = min(most, first * 2**self.failures)
        self.failures += 1
        self._not_before = self.clock() + delay
        self.over(ProcessEvent.DIED)
        log.warning(f"{self.name}.failed", child_pid=pid, exit=self.last_exit, again_after=delay)


class BuilderStatus(TypedDict):
    """What `status` shows of the builder."""

    running: bool
    pid: int | None
    failures: int
    hung: int
    last_exit: str
    progress: JsonObject


@dataclass(slots=True, eq=False)
class Builder(JobChild):
    """Runs the builder; used only from the supervisor's loop."""

    name: str = "builder"
    module: str = "khive_workers.index_builder"
    policy: RestartPolicy = POLICY
    retry: ClassVar[tuple[float, float]] = 2.0, 300.0
    progress: JsonObject = field(default_factory=dict)

    def build(self, reason: str, *, force: bool = False) -> bool:
        """Return whether one was started: not if one runs, or the last failure is too recent.

        Args:
            reason: why, for `status`.
            force: whatever failed before, and however little is new.
        """
        if not self.running:
            self.arguments = (FORCE,) if force else ()
            self.progress = {"event": "started", "reason": reason}
        return self.run(force=force)

    def reported(self, said: JsonObject) -> None:
        """Show how far it is."""
        self.progress = said
        if self.progress.get("event") != "embedding":
            log.info("builder.progress", step=self.progress)

    def progress_status(self) -> BuilderStatus:
        """Return what `status` shows."""
        return {
            "running": self.running,
            "pid": self.pid,
            "failures": self.failures,
            "hung": self.hung,
            "last_exit": self.last_exit,
            "progress": self.progress if self.running else {},
        }
