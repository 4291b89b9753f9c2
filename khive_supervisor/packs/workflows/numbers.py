"""The ids of runs, approvals and schedules, and who may see which."""

from __future__ import annotations

import re

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments
from khive_supervisor.workflows.model import Approval, WorkflowRun

RUN = schema.text("A run's id, such as w12.")
APPROVAL = schema.text("An approval's id, such as a3, or the id of its task, such as t12.")
SCHEDULE = schema.text("A schedule's id, such as s3.")

_WHERE = {
    "w": "workflow.list lists runs",
    "a": "workflow.approvals lists approvals",
    "t": "agents.tasks lists tasks",
    "s": "workflow.schedules lists schedules",
}


def number(text: str, letters: str) -> tuple[str, int]:
    """Return the letter and the number of an id; raises InvalidInput if it is none of these."""
    found = re.fullmatch(rf"([{letters}])([1-9][0-9]{{0,17}})", text.strip())
    if found is None:
        raise InvalidInput(
            f"{text[:80]!r} is no id of this kind.",
            hint=f"They look like {letters[0]}12; {_WHERE[letters[0]]}.",
        )
    return found[1], int(found[2])


def run(context: Context, text: str) -> WorkflowRun:
    """Return the run of an id.

    Raises:
        InvalidInput: not an id.
        NotFound: there is none.
        Denied: it belongs to a namespace that is not allowed here.
    """
    _, asked = number(text, "w")
    found = context.store.workflows.find(asked)
    if found is None:
        raise NotFound(f"There is no run {text.strip()}.", hint=f"{_WHERE['w']}.")
    context.namespace(found.namespace or None)
    return found


def approval(context: Context, text: str) -> Approval:
    """Return the approval of an id, or the newest one of a task; raises as `run` does."""
    letter, asked = number(text, "at")
    store = context.store.workflows
    found = store.approval(asked) if letter == "a" else store.approval_of(asked)
    if found is None:
        raise NotFound(f"There is no approval {text.strip()}.", hint=f"{_WHERE['a']}.")
    return found


def others_runs(context: Context, args: Arguments) -> str:
    """Why a call on a run is an operator's; raises NotFound for one that is not there."""
    if "run" not in args:
        return ""
    found = run(context, args["run"])
    return "" if owns(context, found) else f"w{found.id} is another session's run"


def owns(context: Context, found: WorkflowRun) -> bool:
    """Return True if a run is of whoever asks, or whoever asks may look after all runs."""
    return context.grant.operator or found.session in context.owners
