"""The workflow pack's verbs on runs: begin, look, cancel, retry, and a dry run."""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping

from khive_supervisor.config.load import namespace_allowed
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs.agents import selecting, waiting
from khive_supervisor.packs.workflows import numbers
from khive_supervisor.text import wellformed
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments
from khive_supervisor.workflows import graph
from khive_supervisor.workflows.definitions import Definition, read
from khive_supervisor.workflows.model import StepTask, WorkflowRun
from khive_supervisor.workflows.planning import Caller, plan
from khive_supervisor.worktrees import roots

#: Runs that workflow.list lists by default and at most.
LISTED, LISTED_MAX = 20, 200


def begin(context: Context, args: Arguments) -> Answer:
    """Begin a run: all its tasks are stored at once, and each gets its turn when it may."""
    definition = _definition(context, args)
    store, now = context.store, context.now()
    caller = Caller(
        now,
        context.session.actor,
        context.namespace(None),
        next(iter(context.owners), ""),
        _cwd(context, args.get("cwd")),
        None if context.session.project is None else context.session.project.as_dict(),
        waiting.at(context, args.get("at")),
        args.get("idempotency_key"),
    )
    new = plan(
        definition,
        args.get("input", {}),
        selecting.roles_of(store),
        lambda task_type, payload: selecting.select(
            store, task_type, now, selecting.attempts_alike(context, task_type, payload)
        ),
        caller,
    )
    found, created = store.workflows.begin(new)
    context.hint({"hint": "tasks", "role": new.steps[0].task.role})
    answer = {**_whole(context, found), "created": created}
    if not created:
        answer["note"] = "This idempotency key was used before: nothing new was begun."
    return answer


def _definition(context: Context, args: Arguments) -> Definition:
    """Return the workflow that a call names, or says itself."""
    name, given = args.get("workflow"), args.get("definition")
    if (name is None) == (given is None):
        raise InvalidInput(
            "Either workflow (a name) or definition is needed.",
            hint="workflow.list names those of the configuration.",
        )
    if given is not None:
        return read(given, "workflow")
    found = next((one for one in context.config.workflows if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in context.config.workflows) or "none"
        raise NotFound(f"There is no workflow {name!r}.", hint=f"Configured: {known}.")
    return found


def _cwd(context: Context, asked: str | None) -> str:
    """Return the real path of the directory that a run is about; raises as `roots.resolve`."""
    session = context.session.cwd
    if asked is not None:
        whose = asked if context.grant.operator else session
        return roots.resolve(asked, whose, context.config.agents.roots)
    fits = os.path.isabs(session) and os.path.isdir(session) and wellformed.is_text(session)
    return os.path.realpath(session) if fits else ""


def dry_run(context: Context, args: Arguments) -> Answer:
    """Return the graph of a workflow, and what keeps it from being done; nothing is begun."""
    definition = _definition(context, args)
    roles = context.store.roles.all()
    known = [graph.KnownRole(role.role, role.task_types) for role in roles]
    problems = graph.problems(definition, known)
    return {
        "name": definition.name,
        "can_be_done": not problems,
        "problems": problems,
        "steps": len(definition.steps),
        "graph": graph.drawn(definition),
    }


def list_runs(context: Context, args: Arguments) -> Answer:
    """Return the newest runs, and the workflows of the configuration."""
    own = None if context.grant.operator else tuple(context.owners)
    before = numbers.number(args["before"], "w")[1] if "before" in args else None
    limit = args.get("limit", LISTED)
    found = context.store.workflows.page(limit, before, state=args.get("state"), sessions=own)
    shown = [one for one in found if _visible(context, one)]
    answer: dict[str, object] = {
        "workflows": [_configured(one) for one in context.config.workflows],
        "runs": [_short(context, one) for one in shown],
    }
    if len(found) == limit:
        answer["next"] = f"Older ones: the same call with before=w{found[-1].id}."
    return answer


def _visible(context: Context, found: WorkflowRun) -> bool:
    return not found.namespace or namespace_allowed(context.config, found.namespace)


def _configured(definition: Definition) -> Answer:
    shown: dict[str, object] = {"name": definition.name, "steps": len(definition.steps)}
    for key in ("description", "every"):
        if value := getattr(definition, key):
            shown[key] = value
    return shown


def _short(context: Context, found: WorkflowRun) -> dict[str, object]:
    steps = context.store.workflows.tasks(found.id)
    states = collections.Counter(step.task.state for step in steps if step.part is None)
    shown: dict[str, object] = {
        "run": f"w{found.id}",
        "name": found.name,
        "state": found.state,
        "created_at": forms.timestamp(found.created_at),
        "steps": dict(states),
    }
    if found.ended_at is not None:
        shown["ended_at"] = forms.timestamp(found.ended_at)
    if found.schedule is not None:
        shown["schedule"] = f"s{found.schedule}"
    return shown


def show(context: Context, args: Arguments) -> Answer:
    """Return a run with all its steps, and its graph."""
    return _whole(context, numbers.run(context, args["run"]))


def _whole(context: Context, found: WorkflowRun) -> dict[str, object]:
    steps = context.store.workflows.tasks(found.id)
    held = context.store.workflows.held(step.task.id for step in steps)
    states = {step.step: f"t{step.task.id} {step.task.state}" for step in steps if not step.part}
    waits = {number: waiting.told(one) for number, one in held.items()}
    return {
        **_short(context, found),
        "input": dict(found.input),
        "tasks": [_step(step, waits) for step in steps],
        "graph": graph.drawn(read(found.definition), states),
    }


def _step(step: StepTask, waits: Mapping[int, str]) -> Answer:
    task = step.task
    shown: dict[str, object] = {
        "step": step.step,
        "task": f"t{task.id}",
        "state": task.state,
        "role": task.role,
        "after": [f"t{one.task}" for one in step.after],
    }
    if step.part is not None:
        shown["part"] = step.part
    if task.error:
        shown["error"] = task.error
    if task.id in waits:
        shown["waits_for"] = waits[task.id]
    return shown


def cancel(context: Context, args: Arguments) -> Answer:
    """Cancel a run: what waits is cancelled, what is being done is asked to stop."""
    found = numbers.run(context, args["run"])
    after = context.store.workflows.cancel(found.id)
    for step in context.store.workflows.tasks(found.id):
        if step.task.cancel_asked and not step.task.ended:
            context.hint({"hint": "tasks", "role": step.task.role, "cancel": step.task.id})
    note = "It had ended already: nothing was changed." if found.ended else _cancelled(after)
    return {**_whole(context, after), "note": note}


def _cancelled(found: WorkflowRun) -> str:
    return "It is cancelled." if found.ended else "What is being done was asked to stop."


def retry(context: Context, args: Arguments) -> Answer:
    """Have a run go on: what failed, died or was cancelled is done again; what is done stays."""
    found = context.store.workflows.retry(numbers.run(context, args["run"]).id)
    context.hint({"hint": "tasks"})
    return _whole(context, found)
