"""The agents pack: tasks for roles, and what is known of these."""

from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.access.grant import Audience
from khive_supervisor.budgets.account import UNLIMITED
from khive_supervisor.config.settings.roles import PRIORITY_LIMIT
from khive_supervisor.packs.agents import budgets, candidates, ownership, tasks
from khive_supervisor.packs.agents import task_forms as shapes
from khive_supervisor.tasks.model import (
    KEY_LIMIT,
    PAYLOAD_LIMIT,
    STATES,
    QueueDepth,
    Record,
    RoleRow,
)
from khive_supervisor.tasks.records import day_of, summary
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb
from khive_supervisor.workflows.model import AFTER_LIMIT, CATCH_UPS, POLICIES, REFUSALS


def roles(context: Context, args: Arguments) -> Answer:
    """Return the configured roles: whether they serve, what waits for them, and how they do."""
    store = context.store
    if context.grant.confined:
        return {"roles": [_bare(role) for role in store.roles.all() if _asked(role, args)]}
    depths, records = store.tasks.queue_depths(), store.roles.records()
    states = {account.role: account.state for account in store.budgets.accounts()}
    shown = []
    for role in store.roles.all():
        if _asked(role, args):
            own = [record for record in records if record.role == role.role]
            depth = depths.get(role.role, QueueDepth())
            state = states.get(role.role, UNLIMITED)
            shown.append(_whole(role, own, depth, state, day_of(context.now())))
    return {"roles": shown}


def _whole(
    role: RoleRow, own: Sequence[Record], depth: QueueDepth, budget: str, today: int
) -> Answer:
    types = sorted({*role.task_types, *(record.task_type for record in own)})
    known = [shapes.show_summary(summary(own, one, role.digest, today)) for one in types]
    return {
        **_bare(role),
        "workers": role.workers,
        "generation": role.generation,
        "queued": depth.queued,
        "leased": depth.leased,
        "waiting": depth.waiting,
        "budget": budget,
        "records": known,
    }


def _asked(role: RoleRow, args: Arguments) -> bool:
    return bool(args.get("role", role.role) == role.role)


def _bare(role: RoleRow) -> Answer:
    """Return a role without what it does and did for others."""
    return {
        "role": role.role,
        "in_service": role.in_service,
        "task_types": list(role.task_types),
        "priority": role.priority,
    }


_TASK = {"task": shapes.ID}
#: What a task may be made to wait for.
_WAITS: JsonObject = {
    "after": schema.array(
        schema.text(),
        "Tasks that must have ended before; {{t12.result}} in the payload is a result of theirs.",
        fewest=1,
        most=AFTER_LIMIT,
    ),
    "on_failure": schema.text(
        "What it does if one of them fails: cancel (by default), run all the same, or hold until "
        "that was retried.",
        choices=POLICIES,
    ),
    "at": schema.text("When it may begin: in 30m, 12h, 7d from now, or a time in ISO 8601."),
    "approve": schema.text(
        "Who must agree before it is done: operator (a person), or another role.",
        shortest=1,
        longest=shapes.NAME_LIMIT,
    ),
    "approve_within": schema.text("How long the approval may be given (7d)."),
    "if_refused": schema.text(
        "What it does if nobody agrees: cancel (by default), or fail.", choices=REFUSALS
    ),
    "every": schema.text("When it is given again and again, as cron's five fields.", longest=200),
    "zone": schema.text("The time zone of every (this machine's), such as Europe/Berlin."),
    "catch_up": schema.text(
        "What every does about times that were missed: one run for all, or none.",
        choices=CATCH_UPS,
    ),
}
_ASSIGNED: JsonObject = {
    **shapes.SHOWN,
    "properties": {
        **shapes.SHOWN["properties"],
        "state": schema.text(choices=(*STATES, "scheduled")),
        "created": schema.flag(),
        "why": schema.record(),
        "schedule": schema.text(),
        "next": schema.text(),
    },
    "required": ["state", "role", "created", "why"],
}
_WAITED: JsonObject = schema.record(
    {
        "ended": schema.flag(),
        "tasks": schema.array(shapes.SHOWN),
    },
    ["ended", "tasks"],
)

PACK = Pack(
    "agents",
    "Tasks for other agents: assign, wait, look, and how the roles do.",
    (
        Verb(
            "agents.assign",
            "Give a task to a role, and get its id at once.",
            tasks.assign,
            {
                "role": {**shapes.ROLE, "description": "Who is to do it (khive_call agents.roles "
                         "lists them); by default the best role for task_type."},
                "task_type": {**shapes.TYPE, "description": "What kind of task it is; not "
                              "needed if the role has only one."},
                "payload": {"description": "What the role's handler gets: any JSON, up to "
                            f"{PAYLOAD_LIMIT} bytes."},
                "priority": schema.whole(
                    "The highest is done first (what the role says, mostly 0).",
                    least=-PRIORITY_LIMIT,
                    most=PRIORITY_LIMIT,
                ),
                "idempotency_key": schema.text(
                    "Repeating a call with the same key queues nothing new.",
                    shortest=1,
                    longest=KEY_LIMIT,
                ),
                "candidate": schema.text(
                    "Which candidate of the role is to do it, by its name in the configuration; "
                    "by default the best that is available.",
                    shortest=1,
                    longest=shapes.NAME_LIMIT,
                ),
                "cwd": schema.text(
                    "The directory that the task is about, for roles that work in "
                    "the caller's or in a worktree of it; the session's own by default.",
                    shortest=1,
                    longest=4096,
                ),
                "deadline": schema.text(
                    "When it need not be started any more: in 30m, 12h, 7d from "
                    "now (that is how it is written), or a time in ISO 8601."
                ),
                **_WAITS,
            },
            output=_ASSIGNED,
            description="The task is durable, and tried again if its worker dies. agents_wait "
            "waits for its result.",
            tool=True,
            with_roles=True,
            rare=frozenset(("idempotency_key", "candidate", "cwd", "deadline", *_WAITS)),
            in_batch=True,
            audience=Audience.AGENT, reserved=ownership.beyond_the_session,
        ),
        Verb(
            "agents.task",
            "Show a task: its state, result, error and what happened to it.",
            tasks.task,
            _TASK,
            ("task",),
            output=shapes.SHOWN,
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_tasks,
        ),
        Verb(
            "agents.wait",
            "Wait until tasks have ended, and get their results.",
            tasks.wait,
            {
                **_TASK,
                "tasks": schema.array(
                    schema.text(),
                    "Several tasks: all of them are waited for.",
                    fewest=1,
                    most=tasks.WAIT_TASKS,
                ),
                "timeout": schema.number(
                    f"Seconds to wait at most ({tasks.WAIT}); then it answers with what there is.",
                    least=0,
                    most=tasks.WAIT_MAX,
                ),
            },
            output=_WAITED,
            description="Other calls go on meanwhile.",
            read_only=True,
            tool=True,
            with_roles=True,
            waits=True,
            audience=Audience.AGENT, reserved=ownership.others_tasks,
        ),
        Verb(
            "agents.tasks",
            "List the tasks that this session has given, newest first; an operator sees all.",
            tasks.tasks,
            {
                "role": {**shapes.ROLE, "description": "Only this role's."},
                "state": shapes.STATE,
                "task_type": {**shapes.TYPE, "description": "Only of this type."},
                "limit": schema.whole(
                    f"How many at most ({tasks.LISTED}).", least=1, most=tasks.LISTED_MAX
                ),
                "before": {**shapes.ID, "description": "Only those older than this task."},
                "log_lines": schema.whole(
                    "Of each at work, so many of the last lines that it has printed (0).",
                    least=0,
                    most=100,
                ),
            },
            read_only=True,
            in_batch=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "agents.follow",
            "Wait until something happens to tasks of this session (an operator: to any).",
            tasks.follow,
            {
                "after": schema.whole(
                    "The `last` of the answer before; from now on by default.", least=0
                ),
                "role": {**shapes.ROLE, "description": "Only this role's tasks."},
                "timeout": schema.number(
                    f"Seconds to wait at most ({tasks.WAIT}).", least=0, most=tasks.WAIT_MAX
                ),
            },
            read_only=True,
            waits=True,
            audience=Audience.AGENT,
        ),
        Verb("agents.cancel", "Cancel a task; one that is being done is asked to stop.",
             tasks.cancel, _TASK, ("task",), idempotent=True,
             in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_tasks),
        Verb("agents.retry", "Queue a task again that failed, died or was cancelled.",
             tasks.retry, _TASK, ("task",),
             in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_tasks),
        Verb(
            "agents.feedback",
            "Say how good the result of a done task is; its role learns from that.",
            tasks.feedback,
            {
                **_TASK,
                "quality": schema.number(
                    "1 is the best; again replaces what was said before.", least=0, most=1
                ),
            },
            ("task", "quality"),
            idempotent=True,
            in_batch=True,
            audience=Audience.AGENT, reserved=ownership.others_tasks,
        ),
        Verb(
            "agents.budget",
            "Show what roles may spend, have spent and have set aside, and when that ends.",
            budgets.budget,
            {"role": {**shapes.ROLE, "description": "Only this role."}},
            description="Amounts are in the unit of the budget: dollars (usd) or tokens.",
            read_only=True,
            audience=Audience.AGENT, shared=True,
        ),
        Verb(
            "agents.roles",
            "List the roles: whether they serve, what waits, and how they do at each type.",
            roles,
            {"role": {**shapes.ROLE, "description": "Only this role."}},
            description="success is what the record is worth, with a 90 % interval: recent "
            "executions count more, those of another handler less.",
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "agents.candidates",
            "List the candidates of roles: how each does at its types, and whether it is there.",
            candidates.candidates,
            {"role": {**shapes.ROLE, "description": "Only this role."}},
            description="success is what is believed of a candidate, with a 90 % interval; latest "
            "says of the newest tasks who had them, and why.",
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "agents.close_breaker",
            "Let tasks go to a candidate at once that was not available.",
            candidates.close_breaker,
            {
                "role": shapes.ROLE,
                "candidate": schema.text(
                    "Its name; agents.candidates lists them.", shortest=1, longest=shapes.NAME_LIMIT
                ),
            },
            ("role", "candidate"),
            idempotent=True,
            audience=Audience.OPERATOR, because="it has the user's money spent again",
        ),
    ),
)  # fmt: skip
