"""What the supervisor stands on: its lock's file and its sockets', which anybody may remove.

Each look compares what others would find with what is ours; what is gone is put back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError

log = logs.get("khive.foothold")


@dataclass(slots=True)
class Foothold:
    """One such file; used only from the supervisor's loop.

    Attributes:
        mending: what puts it back, in words for the log.
        missing: returns whether others would find none, or another one.
        mend: puts it back; raises KhiveError or OSError if it cannot now.
        patience: looks in a row that miss it before that is done.
    """

    mending: str
    missing: Callable[[], bool]
    mend: Callable[[], None]
    patience: int = 1
    _missed: int = 0
    _problem: str = ""

    def look(self) -> None:
        """Put it back if it is gone; that it cannot be is said once, and tried again."""
        self._missed = self._missed + 1 if self.missing() else 0
        before, self._problem = self._problem, ""
        if self._missed < self.patience:
            return
        try:
            self.mend()
            log.warning("foothold.mended", what=self.mending)
        except (OSError, KhiveError) as error:
            self._problem = f"{self.mending}: {error}"
            if self._problem != before:
                log.error("foothold.lost", problem=self._problem)
