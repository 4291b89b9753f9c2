"""Runs of workflows and approvals for a grant: those of its own namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import BudgetExceeded, NotFound
from khive_supervisor.store.workflows.runs import WorkflowStore
from khive_supervisor.verbs.confined.tasks import KEY_SEPARATOR, SELECTED, ConfinedTasks
from khive_supervisor.verbs.confined.wall import Wall, check
from khive_supervisor.workflows.model import Approval, Held, NewRun, StepTask, WorkflowRun


class ConfinedWorkflows(Wall):
    """`WorkflowStore` for a grant; what is not its own is not there. It decides nothing."""

    _NAME = "store.workflows"

    def __init__(self, workflows: WorkflowStore, tasks: ConfinedTasks, grant: Grant) -> None:
        self._workflows = workflows
        self._tasks = tasks
        self._grant = grant

    def begin(self, run: NewRun) -> tuple[WorkflowRun, bool]:
        """Keys are each namespace's own."""
        for namespace in {run.namespace, *(step.task.namespace for step in run.steps)}:
            check(self._grant, namespace)
        key = run.idempotency
        if key is not None:
            key = f"{run.namespace}{KEY_SEPARATOR}{key}"
        try:
            return self._workflows.begin(replace(run, idempotency=key))
        except BudgetExceeded:
            text = "The budget of a role of its steps is exceeded. Nothing was begun."
            raise BudgetExceeded(text, hint="Try again later.") from None

    def find(self, run_id: int) -> WorkflowRun | None:
        found = self._workflows.find(run_id)
        return found if found is not None and self._grant.admits(found.namespace) else None

    def _existing(self, run_id: int) -> int:
        if self.find(run_id) is None:
            raise NotFound(f"There is no run w{run_id}.")
        return run_id

    def page(
        self,
        limit: int = 50,
        before: int | None = None,
        *,
        state: str | None = None,
        sessions: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[WorkflowRun]:
        own = self._grant.namespaces or ()
        within = [name for name in own if namespaces is None or name in namespaces]
        return self._workflows.page(
            limit, before, state=state, sessions=sessions, namespaces=within
        )

    def tasks(self, run_id: int) -> list[StepTask]:
        found = self._workflows.tasks(self._existing(run_id))
        return [replace(one, task=replace(one.task, chosen=SELECTED)) for one in found]

    def cancel(self, run_id: int) -> WorkflowRun:
        return self._workflows.cancel(self._existing(run_id))

    def retry(self, run_id: int) -> WorkflowRun:
        return self._workflows.retry(self._existing(run_id))

    def held(self, task_ids: Iterable[int]) -> Mapping[int, Held]:
        own = [one for one in task_ids if self._tasks.find(one) is not None]
        return self._workflows.held(own)

    def step_of(self, task_id: int) -> tuple[int, str] | None:
        return None if self._tasks.find(task_id) is None else self._workflows.step_of(task_id)

    def approvals(self, *, asked: bool = True, limit: int = 100) -> list[Approval]:
        found = self._workflows.approvals(asked=asked, limit=limit)
        return [one for one in found if self._tasks.find(one.task) is not None]
