"""A run of a workflow, planned: who does each step, and with what; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from khive_supervisor.errors import InvalidInput
from khive_supervisor.tasks.model import NewTask, RoleRow
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows import graph
from khive_supervisor.workflows.definitions import Definition, WorkflowStep, as_dict
from khive_supervisor.workflows.model import NewRun, PlannedStep

#: Selects a role for a type of task and a payload: the role, and how it was selected; None: no role
#: takes it.
Select = Callable[[str, Any], tuple[RoleRow, JsonObject] | None]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who begins a run; `start_at` and `now` are unix seconds."""

    now: float
    actor: str = ""
    namespace: str = ""
    session: str = ""
    cwd: str = ""
    project: Mapping[str, Any] | None = None
    start_at: float | None = None
    idempotency: str | None = None
    schedule: int | None = None


def plan(
    definition: Definition,
    given: Mapping[str, Any],
    roles: Mapping[str, RoleRow],
    select: Select,
    caller: Caller,
) -> NewRun:
    """Return a run of a workflow with an input, which adds to the one that the workflow has.

    Raises:
        InvalidInput: it cannot be done as it is written; every reason.
    """
    known = [graph.KnownRole(role.role, role.task_types) for role in roles.values()]
    if found := graph.problems(definition, known):
        raise InvalidInput(
            f"The workflow {definition.name} cannot be done: {'; '.join(found)}.",
            hint="`khive-supervisor workflow dry-run` draws it, and says what is wrong.",
        )
    steps = [_planned(step, roles, select, caller) for step in graph.ordered(definition)]
    return NewRun(
        definition.name,
        as_dict(definition),
        {**definition.input, **given},
        tuple(steps),
        caller.start_at,
        caller.idempotency,
        caller.schedule,
        caller.actor,
        caller.namespace,
        caller.session,
    )


def _planned(
    step: WorkflowStep, roles: Mapping[str, RoleRow], select: Select, caller: Caller
) -> PlannedStep:
    role, chosen = _role(step, roles, select)
    begins = caller.now if caller.start_at is None else caller.start_at
    task = NewTask(
        role=role.role,
        task_type=step.task_type or next(iter(role.task_types), ""),
        payload=step.payload,
        priority=role.priority if step.priority is None else step.priority,
        deadline=None if step.deadline is None else begins + step.deadline,
        attempts_max=role.attempts,
        chosen=chosen,
        actor=caller.actor,
        namespace=caller.namespace,
        session=caller.session,
        cwd=caller.cwd,
        project=caller.project,
    )
    after = tuple((name, step.on_failure) for name in step.predecessors)
    return PlannedStep(step.name, task, after, step.approval, step.each)


def _role(
    step: WorkflowStep, roles: Mapping[str, RoleRow], select: Select
) -> tuple[RoleRow, JsonObject | None]:
    if step.role:
        return roles[step.role], None
    found = select(step.task_type, step.payload)
    if found is None:
        raise InvalidInput(f"{step.name}: no role takes the type {step.task_type}.")
    return found


def single(
    name: str, step: WorkflowStep, *, every: str = "", zone: str = "", catch_up: str = ""
) -> Definition:
    """Return the workflow that is one step: a task that is given again and again."""
    found = Definition(name, (step,), every=every, zone=zone)
    return replace(found, catch_up=catch_up) if catch_up else found
