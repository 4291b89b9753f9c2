"""The agents pack's verbs on tasks: assign, look, wait, cancel, retry, rate."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from khive_supervisor.control.requests import IdentityData
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.host import paths, repository
from khive_supervisor.packs.agents import ownership, selecting, waiting
from khive_supervisor.packs.agents import task_forms as shapes
from khive_supervisor.tasks.model import (
    ENDED,
    QUEUED,
    WAITING,
    NewTask,
    RoleRow,
    Task,
    TaskEvent,
    TaskFilter,
)
from khive_supervisor.text import wellformed
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments
from khive_supervisor.worktrees import roots

#: Seconds that agents.wait waits by default, and at most.
WAIT, WAIT_MAX = 60, 600
#: Tasks that agents.wait waits for at once, and that agents.tasks lists by default and at most.
WAIT_TASKS, LISTED, LISTED_MAX = 100, 20, 200
#: Seconds between two looks at the store while waiting: a few microseconds each.
LOOK_EVERY = 0.05
#: Events that one look takes.
FOLLOWED = 200
#: Seconds after which a wait says that it is still there.
SAY_EVERY = 15.0


def assign(context: Context, args: Arguments) -> Answer:
    """Queue a task for a role: the one that is named, or the best for its type."""
    role, task_type, chosen = _role_for(context, args)
    new = _new_task(context, args, role, task_type, chosen)
    waits = waiting.waits_of(context, args, role)
    if "every" in args:
        return waiting.schedule(context, args, new, waits)
    task, created = context.store.tasks.assign(new, waits)
    if created:
        context.hint({"hint": "tasks", "role": task.role})
    answer = {"task": f"t{task.id}", "state": task.state, "role": task.role}
    if not created:
        answer["note"] = "This idempotency key was used before: nothing new was queued."
    elif task.state == WAITING:
        answer["note"] = waiting.note(context, [task])
    elif not role.in_service:
        out = "is out of service: the task waits until it is back."
        answer["note"] = f"{role.role} {out} {_way_back(role)}"
    return {**answer, "created": created, "why": dict(task.chosen or {"named": "by the caller"})}


def _candidate(context: Context, role: str, asked: str) -> str:
    """Return the candidate that is asked for; raises InvalidInput if the role has none such."""
    defined = context.config.role(role)
    known = [one.name for one in defined.candidates] if defined is not None else []
    if asked and asked not in known:
        there = f"It has: {', '.join(known)}." if known else "It has one handler; leave it out."
        raise InvalidInput(f"The role {role} has no candidate {asked!r}.", hint=there)
    return asked


def _new_task(
    context: Context, args: Arguments, role: RoleRow, task_type: str, chosen: Answer | None
) -> NewTask:
    cwd = _cwd(context, args.get("cwd"), role.role)
    return NewTask(
        role=role.role,
        task_type=task_type,
        payload=args.get("payload"),
        priority=args.get("priority", role.priority),
        idempotency=args.get("idempotency_key"),
        deadline=_deadline(context, args.get("deadline")),
        attempts_max=role.attempts,
        chosen=chosen,
        actor=context.session.actor,
        namespace=context.namespace(None),
        session=next(iter(context.owners), ""),
        cwd=cwd,
        node=_node(context, cwd, role.role),
        project=_project(context),
        candidate=_candidate(context, role.role, args.get("candidate", "")),
    )


def _node(context: Context, cwd: str, role: str) -> str:
    """Return this node of a team for a task about a checkout that lies here; else none.

    A role that only other nodes serve gets its task all the same: its handler sees that.
    """
    if not (cwd and context.store.node and context.config.role(role) is not None):
        return ""
    lies_here = repository.repository_of(cwd, paths.home()) is not None
    return context.store.node if lies_here else ""


def _project(context: Context) -> IdentityData | None:
    """Return the project that what a task remembers is about: its caller's."""
    identity = context.session.project
    return None if identity is None else identity.as_dict()


def _role_for(context: Context, args: Arguments) -> tuple[RoleRow, str, Answer | None]:
    """Return the role that gets the task, the task's type, and how the role was selected."""
    name, task_type = args.get("role"), args.get("task_type")
    roles = context.store.roles.all()
    if name is not None:
        role = next((one for one in roles if one.role == name), None)
        if role is None:
            raise NotFound(f"There is no role {name!r}.", hint=_what_there_is(roles))
        return role, _type_of(role, task_type), None
    if task_type is None:
        raise InvalidInput("agents.assign needs a role or a task_type.", hint=_what_there_is(roles))
    alike = selecting.attempts_alike(context, task_type, args.get("payload"))
    found = selecting.select(context.store, task_type, context.now(), alike)
    if found is None:
        raise NotFound(f"No role declares the type {task_type!r}.", hint=_what_there_is(roles))
    return found[0], task_type, found[1]


def _type_of(role: RoleRow, task_type: str | None) -> str:
    """The type of a task whose role is named: what is asked, or the only one that it declares."""
    declared = role.task_types
    if task_type is None and len(declared) <= 1:
        return declared[0] if declared else ""
    if task_type is None or task_type not in declared:
        wrong = "needs a task_type" if task_type is None else f"does not declare {task_type!r}"
        raise InvalidInput(
            f"The role {role.role} {wrong}.",
            hint=f"It declares: {', '.join(declared) or 'none; leave task_type out'}.",
        )
    return task_type


def _what_there_is(roles: list[RoleRow]) -> str:
    if not roles:
        return "No roles are configured; add a [[roles]] table to the configuration."
    shown = "; ".join(f"{role.role} ({', '.join(role.task_types) or 'no types'})" for role in roles)
    return f"There are: {shown}."


def _cwd(context: Context, asked: str | None, role: str) -> str:
    """Return the real path of the caller's directory: what it names, else where its session is.

    Raises:
        InvalidInput, Denied: the task could not be done there.
    """
    session = context.session.cwd
    defined = context.config.role(role)
    allowed = [*context.config.agents.roots, defined.cwd if defined is not None else ""]
    if asked is not None:
        # An operator's word is the user's: what it names is the project that it stands in.
        return roots.resolve(asked, asked if context.grant.operator else session, allowed)
    if not os.path.isabs(session) or not os.path.isdir(session) or not wellformed.is_text(session):
        return ""
    if defined is not None and defined.workdir in ("caller", "worktree"):
        return roots.resolve(session, session, allowed)
    return os.path.realpath(session)  # known to the task, but nothing is done in it


def _deadline(context: Context, text: str | None) -> float | None:
    if text is None:
        return None
    now = context.now()
    found = shapes.deadline(text, now)
    if found <= now:
        raise InvalidInput(
            f"The deadline {text!r} has passed already.", hint="Use for example 30m, or leave it."
        )
    return found


def task(context: Context, args: Arguments) -> Answer:
    """Return a task with its payload, result and the end of its log."""
    found = shapes.existing(context, args["task"])
    events = context.store.tasks.events(task_id=found.id, limit=100)
    happened = [
        {"what": event.what, "at": forms.timestamp(event.at), **_detail(event.detail)}
        for event in events
    ]
    answer = {**shapes.show_whole(found), **waiting.shown(context, found), "events": happened}
    if note := _why_they_wait(context, [found]):
        answer["note"] = note
    return answer


def _why_they_wait(context: Context, found: Iterable[Task]) -> str:
    """What queued ones of these tasks wait for beside their turn; empty if for nothing else."""
    tasks = list(found)
    wanted = {one.role for one in tasks if one.state == QUEUED}
    waits = waiting.note(context, [one for one in tasks if one.state == WAITING])
    if not wanted:
        return waits
    roles = {role.role: role for role in context.store.roles.all()}
    notes = [text for name in sorted(wanted) if (text := _absence(name, roles.get(name)))]
    notes += [waits] if waits else []
    blocked = context.store.budgets.blocked()
    over = [f"{role}: {blocked[role]}" for role in sorted(wanted & blocked.keys())]
    if over:
        notes.append(f"Queued tasks wait for the budget of {'. And of '.join(over)}.")
    return " ".join(notes)


def _absence(name: str, role: RoleRow | None) -> str:
    """Return why nobody does a role's tasks, and what to do about it; empty if somebody does."""
    if role is None:
        return (
            f"There is no role {name} now: queued tasks wait until there is. "
            "`khive-supervisor status` shows the roles there are."
        )
    if role.in_service:
        return ""
    return f"{name} is out of service: queued tasks wait until it is back. {_way_back(role)}"


def _way_back(role: RoleRow) -> str:
    """Return what brings a role back into service: only somebody who took it out can tell when."""
    if role.drained:
        return f"`khive-supervisor resume-role {role.role}` puts it back."
    return "`khive-supervisor status` says why."


def _detail(text: str) -> Answer:
    return {"detail": text} if text else {}


def tasks(context: Context, args: Arguments) -> Answer:
    """Return the newest tasks, newest first."""
    own = None if context.grant.operator else context.owners
    where = TaskFilter(args.get("role"), args.get("state"), args.get("task_type"), own)
    before = shapes.task_id(args["before"]) if "before" in args else None
    limit = args.get("limit", LISTED)
    found = context.store.tasks.page(where, limit, before)
    lines = args.get("log_lines", 0)
    shown = [shapes.show_listed(one, lines) for one in found if _shown(context, one)]
    answer: dict[str, object] = {"tasks": shown}
    if note := _why_they_wait(context, (one for one in found if _shown(context, one))):
        answer["note"] = note
    if len(found) == limit:
        answer["next"] = f"Older ones: the same call with before=t{found[-1].id}."
    return answer


def cancel(context: Context, args: Arguments) -> Answer:
    """Cancel a task; its worker is asked to stop it if it is being done."""
    before = shapes.existing(context, args["task"])
    found = context.store.tasks.cancel(before.id)
    if found.state == "cancelled":
        note = "It is cancelled." if not before.ended else "It was cancelled before."
    elif found.cancel_asked and not found.ended:
        note = "Its worker is asked to stop it; agents.wait tells when it has."
        context.hint({"hint": "tasks", "role": found.role, "cancel": found.id})
    else:
        note = f"It has ended already ({found.state}): nothing was changed."
    return {**shapes.show(found), "note": note}


def retry(context: Context, args: Arguments) -> Answer:
    """Queue a task again that failed, died or was cancelled."""
    found = context.store.tasks.retry(shapes.existing(context, args["task"]).id)
    context.hint({"hint": "tasks", "role": found.role})
    answer = shapes.show(found)
    if note := _why_they_wait(context, [found]):
        answer["note"] = note
    return answer


def feedback(context: Context, args: Arguments) -> Answer:
    """Say how good the result of a done task is."""
    found = shapes.existing(context, args["task"])
    return shapes.show(context.store.tasks.feedback(found.id, args["quality"]))


def follow(context: Context, args: Arguments) -> Answer:
    """Return what happens to tasks after a number: waits for something to happen."""
    store = context.store.tasks
    after = args["after"] if "after" in args else store.last_event()
    end = time.monotonic() + args.get("timeout", WAIT)
    said = time.monotonic()
    while True:
        newest = store.last_event()  # first: what comes meanwhile is for the next look
        events = store.events(after, FOLLOWED)
        shown = [line for event in events if (line := _event(context, event, args)) is not None]
        after = events[-1].seq if events else max(after, newest)
        if shown or time.monotonic() >= end:
            return {"events": shown, "last": after}
        if not events:
            context.pause(LOOK_EVERY)
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            context.progress(0, 0, "waiting")


def _shown(context: Context, task: Task) -> bool:
    """Return True if a listing shows a task to whoever asks."""
    return shapes.visible(context, task) and ownership.owns(context, task)


def _event(context: Context, event: TaskEvent, args: Arguments) -> Answer | None:
    """Return an event as it is shown, unless it is of a task that is not asked for."""
    found = context.store.tasks.page(limit=1, before=event.task_id + 1)
    if not found or found[0].id != event.task_id or not _shown(context, found[0]):
        return None
    if args.get("role", found[0].role) != found[0].role:
        return None
    shown = {
        "task": f"t{event.task_id}",
        "role": found[0].role,
        "what": event.what,
        "at": forms.timestamp(event.at),
    }
    if event.worker is not None:
        shown["worker"] = event.worker
    return {**shown, **_detail(event.detail)}


# --- waiting --------------------------------------------------------------------------------------


def wait(context: Context, args: Arguments) -> Answer:
    """Wait until tasks have ended, and say how; their progress is told meanwhile."""
    given = [*args.get("tasks", ()), *([args["task"]] if "task" in args else ())]
    if not given:
        raise InvalidInput("agents.wait needs task or tasks.", hint='For example {"task": "t12"}.')
    ids, notes = shapes.those(context, given)
    found = _Wait(context, ids, args.get("timeout", WAIT)).run()
    shown = [shapes.show_whole(one) if one.ended else shapes.show(one) for one in found]
    for one in shown:
        one.pop("payload", None)  # who waits has sent it
    all_ended = all(one.ended for one in found)
    answer: dict[str, object] = {"ended": all_ended, "tasks": shown}
    gone = sorted(set(ids) - {one.id for one in found})
    notes += [f"There is no task t{number} any more." for number in gone]
    if not all_ended:
        answer["next"] = "Not all have ended in time; call agents.wait again to go on waiting."
        if note := _why_they_wait(context, found):
            answer["note"] = note
    return forms.noted(answer, notes)


class _Wait:
    """Looks at tasks whenever the store has changed, until they have ended or time is over."""

    def __init__(self, context: Context, ids: list[int], timeout: float) -> None:
        self._context = context
        self._ids = ids
        self._end = time.monotonic() + timeout
        self._told: dict[int, str] = {}
        self._said = time.monotonic()

    def run(self) -> list[Task]:
        """Return the tasks as they are in the end."""
        token: object = None
        found: list[Task] = []
        while True:
            now_token = self._context.store.change_token()
            if token is None or now_token != token:
                token = now_token
                found = self._look()
            if all(one.ended for one in found) or time.monotonic() >= self._end:
                return found
            self._context.pause(max(0.0, min(LOOK_EVERY, self._end - time.monotonic())))
            if time.monotonic() - self._said > SAY_EVERY:
                self._say(found, "waiting")

    def _look(self) -> list[Task]:
        store = self._context.store.tasks
        found = [one for number in self._ids if (one := store.find(number)) is not None]
        if not found:
            raise shapes.missing(f"t{min(self._ids)} any more")
        for one in found:
            text = one.state if one.state in ENDED else one.progress or one.state
            if self._told.get(one.id) != text:
                self._told[one.id] = text
                self._say(found, f"t{one.id}: {text}")
        return found

    def _say(self, found: list[Task], text: str) -> None:
        self._said = time.monotonic()
        self._context.progress(sum(one.ended for one in found), len(found), text)
