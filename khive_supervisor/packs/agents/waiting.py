"""What a task is to wait for, as callers say it, and what it waits for, as they are told."""

from __future__ import annotations

from collections.abc import Iterable

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs.agents import task_forms as shapes
from khive_supervisor.tasks.model import NewTask, RoleRow, Task
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.definitions import WorkflowStep, as_dict
from khive_supervisor.workflows.durations import seconds_of
from khive_supervisor.workflows.model import (
    CANCEL,
    CATCH_UP_ONE,
    LASTS,
    OPERATOR,
    ApprovalTerms,
    Held,
    NewSchedule,
    Predecessor,
    Waits,
)
from khive_supervisor.workflows.planning import single


def waits_of(context: Context, args: Arguments, role: RoleRow) -> Waits:
    """Return what a call has a task wait for; raises as `existing` does for others' tasks."""
    policy = args.get("on_failure", CANCEL)
    found = [shapes.existing(context, text).id for text in args.get("after", ())]
    after = tuple(Predecessor(number, policy) for number in dict.fromkeys(found))
    return Waits(after, at(context, args.get("at")), approval(context, args, role.role))


def at(context: Context, text: str | None) -> float | None:
    """Return a time to wait for: how long from now, or in ISO 8601; one that has passed is now."""
    return None if text is None else shapes.deadline(text, context.now())


def approval(context: Context, args: Arguments, role: str) -> ApprovalTerms | None:
    """Return who must agree; raises InvalidInput for the role itself, NotFound for no role."""
    by = args.get("approve")
    if by is None:
        return None
    if by == role:
        raise InvalidInput(
            f"{role} would approve its own task.", hint="Name another role, or operator."
        )
    known = [row.role for row in context.store.roles.all()]
    if by != OPERATOR and by not in known:
        raise NotFound(
            f"There is no role {by!r} that could approve.",
            hint=f"There are: {OPERATOR} (a person), {', '.join(known)}.",
        )
    within = args.get("approve_within")
    lasts = LASTS if within is None else seconds_of(within)
    return ApprovalTerms(by, lasts, args.get("if_refused", CANCEL))


# --- again and again ------------------------------------------------------------------------------


def schedule(context: Context, args: Arguments, task: NewTask, waits: Waits) -> Answer:
    """Store a schedule that gives a task at each time, and say when it does so first."""
    if waits.after or waits.start_at is not None or task.idempotency or task.deadline:
        raise InvalidInput(
            "every goes with neither after, at, deadline nor idempotency_key.",
            hint="Each run of a schedule is a task of its own; a workflow can say more.",
        )
    cron, zone = args["every"], args.get("zone", "")
    schedules.check(cron, zone)
    step = WorkflowStep(
        "task", task.role, task.task_type, task.payload, approval=waits.approval,
        priority=task.priority,
    )  # fmt: skip
    name = f"every-{task.role}"
    catch_up = args.get("catch_up", CATCH_UP_ONE)
    found = context.store.schedules.add(
        NewSchedule(
            name, cron, as_dict(single(name, step)), {}, zone, catch_up, task.actor,
            task.namespace, task.session, task.cwd, task.project,
        )
    )  # fmt: skip
    context.hint({"hint": "tasks", "role": task.role})
    return {
        "schedule": f"s{found.id}",
        "role": task.role,
        "state": "scheduled",
        "next": when(schedules.next_due(cron, zone, context.now())),
        "created": True,
        "why": dict(task.chosen or {"named": "by the caller"}),
    }


def when(at: float | None) -> str:
    """Return a time as it is shown, or that there is none."""
    return "never" if at is None else forms.timestamp(at)


# --- what is told ---------------------------------------------------------------------------------


def shown(context: Context, task: Task) -> Answer:
    """Return what a task waits for, and the workflow that it is a part of."""
    found: dict[str, object] = {}
    held = context.store.workflows.held([task.id]).get(task.id)
    if held is not None:
        found["waits_for"] = told(held)
    place = context.store.workflows.step_of(task.id)
    if place is not None:
        found["workflow"] = f"w{place[0]}"
        found["step"] = place[1]
    return found


def note(context: Context, tasks: Iterable[Task]) -> str:
    """Return what waiting tasks wait for, in a sentence for each of the first few."""
    held = context.store.workflows.held(one.id for one in tasks)
    return " ".join(f"t{number} waits for {told(one)}." for number, one in [*held.items()][:5])


def told(held: Held) -> str:
    """Return what a task waits for, in words."""
    if held.parts is not None:
        return f"the {held.parts} parts that it has fanned out into"
    parts = [f"t{one.task}, which failed: retry it or this one" for one in held.failed]
    parts += [f"t{one.task}" for one in held.after]
    if held.start_at is not None:
        parts.append(forms.timestamp(held.start_at))
    if held.approval is not None:
        number, by = f"a{held.approval.id}", held.approval.by
        asked = held.approval.expires_at is not None
        until = f" until {forms.timestamp(held.approval.expires_at or 0.0)}" if asked else " then"
        parts.append(f"the approval {number} by {by}{until}")
    return ", ".join(parts) or "its turn"
