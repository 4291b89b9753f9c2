"""The facet of a store for schedules; times are unix seconds of the wall clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from khive_supervisor.workflows.model import Firing, NewRun, NewSchedule, Schedule, WorkflowRun


class ScheduleStore(Protocol):
    """Workflows that run again and again."""

    def add(self, schedule: NewSchedule) -> Schedule:
        """Store a schedule; times before now do not count."""
        ...

    def configure(self, schedules: Sequence[NewSchedule]) -> None:
        """Make these the configured ones; one that only changed goes on from where it was."""
        ...

    def ours(self) -> list[Schedule]:
        """Return those that this node's member has made; in a store of one machine, all."""
        ...

    def all(self) -> list[Schedule]:
        """Return all schedules, oldest first."""
        ...

    def remove(self, number: int) -> Schedule:
        """Remove a schedule with its firings; its runs stay. `NotFound` without it."""
        ...

    def pause(self, number: int, *, paused: bool) -> Schedule:
        """Have a schedule begin nothing, or go on from now; as it is already, nothing changes.

        `NotFound` without it.
        """
        ...

    def firings(self, number: int, limit: int = 20) -> list[Firing]:
        """Return the last firings of a schedule, newest first."""
        ...

    def fire(self, number: int, due: float, now: float, run: NewRun | None) -> WorkflowRun | None:
        """Begin a run for a due time, once, whoever else sees that it is due.

        None: another process has done it, or the schedule is gone or paused; or `run` is None,
        which notes that the time was missed. It counts as looked at up to `now` in any case.
        """
        ...

    def looked(self, number: int, now: float) -> None:
        """Note that a schedule was looked at up to a time, and nothing was due."""
        ...
