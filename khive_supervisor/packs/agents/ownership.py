"""What is a session's own: the tasks that it has given, and the bindings of its actor.

The rules by which an agent's verb becomes an operator's; each says why, or nothing.
"""

from __future__ import annotations

from khive_supervisor.packs.agents import task_forms
from khive_supervisor.profiles.model import ANY
from khive_supervisor.tasks.model import Task
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments


def others_tasks(context: Context, args: Arguments) -> str:
    """Why a call on these tasks is an operator's; raises NotFound for one that is not there."""
    given = [*args.get("tasks", ()), *([args["task"]] if "task" in args else ())]
    for text in given:
        task = task_forms.existing(context, text)
        if not owns(context, task):
            return f"t{task.id} is another session's task"
    return ""


def beyond_the_session(context: Context, args: Arguments) -> str:
    """Why giving a task is an operator's: it comes after others' tasks, or never ends."""
    if "every" in args:
        return "a task that is given again and again outlives the session"
    return others_tasks(context, {"tasks": args.get("after", ())})


def owns(context: Context, task: Task) -> bool:
    """Return True if a task was given by whoever asks, or whoever asks may look after all tasks."""
    return context.grant.operator or task.session in context.owners


def others_bindings(context: Context, args: Arguments) -> str:
    """Why a call on these bindings is an operator's: they are not the session's actor's alone."""
    actor, namespace = context.session.actor, context.namespace(None)
    asked = args.get("actor", ANY), args.get("namespace", ANY)
    if asked == (actor, namespace) and ANY not in asked:
        return ""
    own = (
        f"actor={actor} and namespace={namespace} are"
        if actor
        else "it has no actor (KHIVE_ACTOR), so none is"
    )
    return (
        f"actor={asked[0]}, namespace={asked[1]} are not this session's own alone ({own} its own)"
    )
