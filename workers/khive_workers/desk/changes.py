"""What can be changed by the page: a form's name, the verb that does it, what is said then. Pure.

Verbs check what they are given, and refuse what may not be; nothing here does it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.paths import is_page
from khive_workers.desk.views.entry import KEPT
from khive_workers.desk.views.wishes import Query, Wish


@dataclass(frozen=True, slots=True)
class PageChange:
    """One change: what it makes of a form, what is said when it is done, and what is shown then.

    Attributes:
        shows: the key of the answer that names the entry to be shown; empty: what was shown before.
        undone: returns why an answer says that nothing was done; empty: it was.
    """

    wish: Callable[[Query], Wish]
    done: str
    shows: str = ""
    undone: Callable[[JsonObject], str] = lambda _reply: ""


def _of_ids(verb: str, **more: object) -> Callable[[Query], Wish]:
    return lambda form: Wish(verb, {"ids": [form.get("id", "")], **more})


def _named(verb: str, *names: str) -> Callable[[Query], Wish]:
    return lambda form: Wish(verb, {name: form[name] for name in names if name in form})


def _edited(form: Query) -> Wish:
    args: JsonObject = {n: form[n] for n in ("id", "content", "title", *KEPT) if n in form}
    if "salience" in args:
        args["salience"] = _number(form["salience"])
    tags = [tag.strip() for tag in form.get("tags", "").split(",") if tag.strip()]
    return Wish("memory.supersede", {**args, "tags": tags})


def _number(text: str) -> object:
    """Return a number that a form says; what is none is left for the verb to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def _tidied(form: Query) -> Wish:
    """Return the merge of one entry, or of all that are proposed for one reason."""
    which = {"ids": [form["id"]]} if "id" in form else {"only": [form.get("only", "")]}
    return Wish("memory.tidy", {"apply": True, **which})


def _operation(name: str, *names: str, **more: object) -> Callable[[Query], Wish]:
    def wish(form: Query) -> Wish:
        args = {one: form[one] for one in names if one in form}
        return Wish(name, {**args, **more}, supervisor=True)

    return wish


def _none(name: str) -> Callable[[JsonObject], str]:
    """Return what finds an answer whose list, or number, of what was changed is empty."""
    text = "Nothing was changed: it is no longer as the page had shown it."
    return lambda reply: text if name in reply and not reply[name] else ""


def _not_reloaded(reply: JsonObject) -> str:
    if reply.get("state") not in ("failed", "rolled_back"):
        return ""
    what = "Nothing was changed" if reply["state"] == "failed" else "It was taken back"
    return f"{what}: {'; '.join(map(str, reply.get('errors', [])))}"


def _not_cancelled(reply: JsonObject) -> str:
    asked = reply.get("cancel_asked") or reply.get("state") == "cancelled"
    return "" if asked else str(reply.get("note", ""))


CHANGES: Mapping[str, PageChange] = {
    "edit": PageChange(
        _edited,
        "It is replaced: this holds now; the old one is kept, and no longer found.",
        shows="id",
    ),
    "pin": PageChange(_of_ids("memory.pin"), "Pinned."),
    "unpin": PageChange(_of_ids("memory.pin", pinned=False), "No longer pinned."),
    "forget": PageChange(
        _of_ids("memory.forget"), "Forgotten: no search finds it.", undone=_none("forgotten")
    ),
    "restore": PageChange(_of_ids("memory.restore"), "It is back.", undone=_none("restored")),
    "purge": PageChange(_of_ids("memory.purge"), "Removed for good."),
    "undo": PageChange(_named("memory.undo"), "Undone."),
    "tidy": PageChange(_tidied, "Tidied up; undo takes it back.", undone=_none("applied")),
    "review": PageChange(_named("review.decide", "id", "decision", "text"), "Decided."),
    "feedback": PageChange(_named("brain.feedback", "target", "signal"), "Noted."),
    "cancel": PageChange(_named("agents.cancel", "task"), "Asked to stop.", undone=_not_cancelled),
    "retry": PageChange(_named("agents.retry", "task"), "Queued again."),
    "approve": PageChange(
        _named("workflow.approve", "approval", "note"), "Approved: the task goes on."
    ),
    "reject": PageChange(_named("workflow.reject", "approval", "note"), "Refused."),
    "run": PageChange(_named("workflow.run", "workflow"), "A run has begun."),
    "cancel-run": PageChange(_named("workflow.cancel", "run"), "The run is asked to stop."),
    "retry-run": PageChange(_named("workflow.retry", "run"), "The run goes on."),
    "unschedule": PageChange(_named("workflow.unschedule", "schedule"), "The schedule is removed."),
    "test-channel": PageChange(
        # All pages share one thread: the log below says what became of a channel that is slow.
        lambda form: Wish("channels.test", {"channel": form.get("channel", ""), "timeout": 2}),
        "A test was given to it; its message below says what became of it.",
    ),
    "retry-channel": PageChange(_named("channels.retry", "channel"), "It is sent again."),
    "drain": PageChange(_operation("roles.drain", "role"), "It takes no more tasks."),
    "replace": PageChange(
        _operation("roles.drain", "role", reload=True), "Its workers are replaced."
    ),
    "resume": PageChange(_operation("roles.resume", "role"), "It serves again."),
    "retry-write": PageChange(
        _operation("team.retry", "number"), "It waits again, behind the others."
    ),
    "drop-write": PageChange(
        _operation("team.drop", "number"), "Forgotten: it will not be stored."
    ),
    "reload": PageChange(
        _operation("reload", "digest"), "The configuration was read again.", undone=_not_reloaded
    ),
}


def address_after(form: Query, named: object = None) -> str:
    """Return where to go after a change: to a view of the page, and nowhere else.

    It is the view of the entry that is `named`, or the one that the form says.
    """
    back = f"/memory/{named}" if isinstance(named, str) and named else form.get("back", "/")
    path = back.partition("?")[0]
    plain = all("!" <= letter <= "~" for letter in back) and "\\" not in back
    return back if plain and is_page(path) and "//" not in path and "/." not in path else "/"
