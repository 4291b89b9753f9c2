"""The child that applies waiting writes: started when some wait and the server is connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from khive_supervisor import logs
from khive_supervisor.supervision.processes.jobs import JobChild
from khive_supervisor.team.waiting import Standing
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.waiting")


@dataclass(slots=True, eq=False)
class ApplierChild(JobChild):
    """Runs `khive_workers.waiting`; used only from the supervisor's loop.

    Attributes:
        connected: says whether the team's server is.
        standing: what waits, as it was last looked at.
    """

    name: str = "applier"
    module: str = "khive_workers.waiting"
    retry: ClassVar[tuple[float, float]] = 1.0, 60.0
    connected: Callable[[], bool] = bool
    standing: Standing = field(default_factory=Standing)

    @property
    def problem(self) -> str:
        """Return why what waits could not be applied; empty if it was, or is being."""
        failed = self.failures and self.standing.waiting
        return self.last_words or self.last_exit if failed else ""

    def found(self, standing: Standing) -> None:
        """Take a look at what waits into account: start, if anything can be applied now."""
        self.standing = standing
        if standing.waiting and self.connected() and self.run():
            self.last_words = ""

    def reported(self, said: JsonObject) -> None:
        """Log how far it is; what is applied was worth the attempt, however it ends."""
        self.failures = 0
        log.debug("waiting.progress", step=said)
