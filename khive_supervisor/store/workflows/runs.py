"""The facet of a store for runs of workflows, approvals, and what tasks wait for.

Times are unix seconds of the wall clock, as people set it: that is what "at nine" means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from khive_supervisor.workflows.model import (
    Approval,
    Held,
    NewRun,
    StepTask,
    WorkflowRun,
)


class WorkflowStore(Protocol):
    """Runs of workflows, approvals, and what tasks wait for.

    Every change that an id asks for is `NotFound` without that run or approval.
    """

    # --- runs ---

    def begin(self, run: NewRun) -> tuple[WorkflowRun, bool]:
        """Store a run and all its tasks at once; return it, and True if it was made now.

        An idempotency key that is known answers with its run. Raises what `tasks.assign` does for
        any of its tasks; then there is none of them.
        """
        ...

    def find(self, run_id: int) -> WorkflowRun | None:
        """Return the run of an id, or None."""
        ...

    def page(
        self,
        limit: int = 50,
        before: int | None = None,
        *,
        state: str | None = None,
        sessions: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[WorkflowRun]:
        """Return the newest runs, or those before an id, newest first; None filters nothing."""
        ...

    def tasks(self, run_id: int) -> list[StepTask]:
        """Return the tasks of a run in the order of their numbers, without what is large."""
        ...

    def cancel(self, run_id: int) -> WorkflowRun:
        """Cancel all tasks of a run that have not ended; those at work are asked to stop."""
        ...

    def retry(self, run_id: int) -> WorkflowRun:
        """Have all tasks of a run that ended otherwise than done done again, in their order.

        `InvalidInput` for a run that is done.
        """
        ...

    # --- what tasks wait for ---

    def held(self, task_ids: Iterable[int]) -> Mapping[int, Held]:
        """Return what those of some tasks wait for that do."""
        ...

    def waiting(self) -> Mapping[tuple[str, str], int]:
        """Return how many tasks wait, by role and what for: `tasks`, `time` or `approval`."""
        ...

    def step_of(self, task_id: int) -> tuple[int, str] | None:
        """Return the run that a task is a part of, and the name of its step; None: of none."""
        ...

    def approvals(self, *, asked: bool = True, limit: int = 100) -> list[Approval]:
        """Return the approvals that wait for an answer, oldest first; or all, newest first."""
        ...

    def approval(self, number: int) -> Approval | None:
        """Return the approval of a number, or None."""
        ...

    def approval_of(self, task_id: int) -> Approval | None:
        """Return the newest approval of a task, or None."""
        ...

    def decide(self, number: int, *, approved: bool, by: str, note: str = "") -> Approval:
        """Answer an approval that was asked for; what follows for its task happens with it.

        `InvalidInput` if nobody is asked, or it was answered or has expired.
        """
        ...

    def come_due(self, now: float) -> Sequence[str]:
        """Free the tasks whose time has come, and end the approvals whose time is over.

        Return the roles that may have something to do. Costs no transaction if nothing is due.
        """
        ...

    def next_due(self) -> float | None:
        """Return the next time at which `come_due` has something to do; None: never."""
        ...
