"""The workflow pack: graphs of tasks, approvals and schedules."""

from __future__ import annotations

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.workflows import approving, numbers, planned, running
from khive_supervisor.tasks.model import KEY_LIMIT
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.registry import Pack, Verb
from khive_supervisor.workflows.model import RUN_STATES

_WHICH = {
    "workflow": schema.text(
        "The name of one of the configuration; workflow.list names them.", shortest=1, longest=64
    ),
    "definition": schema.record(
        description="Or a workflow itself: name, steps (each with name, role or task_type, "
        "payload, after, on_failure, approve, each), input."
    ),
}
_RUN = {"run": numbers.RUN}
_DECIDE = {
    "approval": numbers.APPROVAL,
    "note": schema.text("Why; it is kept with the decision.", longest=500),
}
_NOT_AGENTS = "whoever gives a task would approve it"
_STANDING = "schedules are the user's standing orders"

PACK = Pack(
    "workflow",
    "Workflows: tasks that wait for each other, for approvals, and for times.",
    (
        Verb(
            "workflow.run",
            "Begin a run of a workflow, and get its tasks at once.",
            running.begin,
            {
                **_WHICH,
                "input": schema.record(
                    description="What {{input.NAME}} means in its payloads; adds to its own."
                ),
                "at": schema.text(
                    "When it may begin: in 30m, 12h, 7d from now, or a time in ISO 8601."
                ),
                "cwd": schema.text(
                    "The directory that it is about; the session's own by default.",
                    shortest=1,
                    longest=4096,
                ),
                "idempotency_key": schema.text(
                    "Repeating a call with the same key begins nothing new.",
                    shortest=1,
                    longest=KEY_LIMIT,
                ),
            },
            audience=Audience.AGENT,
        ),
        Verb(
            "workflow.dry_run",
            "Draw the graph of a workflow and say what is wrong with it; nothing is begun.",
            running.dry_run,
            _WHICH,
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "workflow.list",
            "List the workflows there are, and the runs of this session (an operator: all).",
            running.list_runs,
            {
                "state": schema.text("Only runs in this state.", choices=RUN_STATES),
                "limit": schema.whole(
                    f"How many runs at most ({running.LISTED}).", least=1, most=running.LISTED_MAX
                ),
                "before": {**numbers.RUN, "description": "Only runs older than this one."},
            },
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "workflow.show",
            "Show a run: how far each of its steps is, and what they wait for.",
            running.show,
            _RUN,
            ("run",),
            read_only=True,
            audience=Audience.AGENT, reserved=numbers.others_runs,
        ),
        Verb(
            "workflow.cancel",
            "Cancel a run; what is being done is asked to stop.",
            running.cancel,
            _RUN,
            ("run",),
            idempotent=True,
            audience=Audience.AGENT, reserved=numbers.others_runs,
        ),
        Verb(
            "workflow.retry",
            "Have a run go on after a failure; what is done is not done again.",
            running.retry,
            _RUN,
            ("run",),
            audience=Audience.AGENT, reserved=numbers.others_runs,
        ),
        Verb(
            "workflow.approvals",
            "List the approvals that tasks of this session wait for (an operator: all tasks).",
            approving.approvals,
            {"all": schema.flag("Also those that were answered, newest first.")},
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "workflow.approve",
            "Let a task be done that waits for an approval.",
            approving.approve,
            _DECIDE,
            ("approval",),
            audience=Audience.OPERATOR, because=_NOT_AGENTS,
        ),
        Verb(
            "workflow.reject",
            "Refuse the approval that a task waits for; it is cancelled, or has failed.",
            approving.reject,
            _DECIDE,
            ("approval",),
            audience=Audience.OPERATOR, because=_NOT_AGENTS,
        ),
        Verb(
            "workflow.schedules",
            "List the schedules: when each is due, and what the last times came to.",
            planned.list_schedules,
            read_only=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "workflow.pause",
            "Have a schedule begin nothing until it is resumed.",
            planned.pause,
            {"schedule": numbers.SCHEDULE},
            ("schedule",),
            idempotent=True,
            audience=Audience.OPERATOR, because=_STANDING,
        ),
        Verb(
            "workflow.resume",
            "Have a paused schedule go on; times that have passed meanwhile do not count.",
            planned.resume,
            {"schedule": numbers.SCHEDULE},
            ("schedule",),
            idempotent=True,
            audience=Audience.OPERATOR, because=_STANDING,
        ),
        Verb(
            "workflow.unschedule",
            "Remove a schedule; the runs that it has begun go on.",
            planned.unschedule,
            {"schedule": numbers.SCHEDULE},
            ("schedule",),
            audience=Audience.OPERATOR, because=_STANDING,
        ),
    ),
)  # fmt: skip
