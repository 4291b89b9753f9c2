"""The workflow pack's verbs on approvals."""

from __future__ import annotations

from khive_supervisor.audit import actors
from khive_supervisor.packs.agents import ownership
from khive_supervisor.packs.agents import task_forms as shapes
from khive_supervisor.packs.workflows import numbers
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments
from khive_supervisor.workflows.model import Approval


def approvals(context: Context, args: Arguments) -> Answer:
    """Return the approvals that wait for an answer, or all: an agent sees those of its tasks."""
    found = context.store.workflows.approvals(asked=not args.get("all", False))
    return {"approvals": [line for one in found if (line := _shown(context, one)) is not None]}


def _shown(context: Context, found: Approval) -> dict[str, object] | None:
    """Return an approval as it is shown; None if its task is not for whoever asks to see."""
    task = context.store.tasks.find(found.task)
    if task is None or not shapes.visible(context, task) or not ownership.owns(context, task):
        return None
    shown: dict[str, object] = {
        "approval": f"a{found.id}",
        "task": f"t{found.task}",
        "role": task.role,
        "state": found.state,
        "by": found.by,
    }
    times = {"asked_at": found.asked_at, "expires_at": found.expires_at}
    times["decided_at"] = found.decided_at
    shown |= {name: forms.timestamp(at) for name, at in times.items() if at is not None}
    said = {"decided_by": found.decided_by, "note": found.note}
    shown |= {name: value for name, value in said.items() if value}
    if place := context.store.workflows.step_of(found.task):
        shown |= {"workflow": f"w{place[0]}", "step": place[1]}
    return shown


def approve(context: Context, args: Arguments) -> Answer:
    """Let a task be done that waits for an approval."""
    return _decide(context, args, approved=True)


def reject(context: Context, args: Arguments) -> Answer:
    """Refuse the approval that a task waits for."""
    return _decide(context, args, approved=False)


def _decide(context: Context, args: Arguments, *, approved: bool) -> Answer:
    asked = numbers.approval(context, args["approval"])
    shapes.existing(context, f"t{asked.task}")
    found = context.store.workflows.decide(
        asked.id, approved=approved, by=actors.user(), note=args.get("note", "")
    )
    task = shapes.existing(context, f"t{found.task}")
    context.hint({"hint": "tasks", "role": task.role})
    return {**shapes.show(task), "approval": f"a{found.id}", "decision": found.state}
