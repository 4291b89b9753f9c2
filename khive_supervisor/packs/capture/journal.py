"""The journal of clients' sessions, searched: what was said and done, be it a fact or not."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from khive_supervisor.access.grant import Audience
from khive_supervisor.capture import prose
from khive_supervisor.store.journal.model import JournalEvent, JournalFilter
from khive_supervisor.verbs import belonging, forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: Events that are shown unless more are asked for, words of a query, and characters of an event.
DEFAULT_LIMIT, MOST_WORDS, SHOWN = 20, 12, 300
#: What an agent is shown of what looks like instructions to it.
WITHHELD = "(withheld: it tells to run something; the user can look with khive-supervisor journal)"


class FoundEvent(TypedDict):
    """An event as it is shown; what it does not have is left out."""

    at: str
    client: str
    session: str
    kind: str
    said_by: str
    text: str
    path: NotRequired[str]
    exit_code: NotRequired[int]


def search(context: Context, args: Arguments) -> Answer:
    """Return events that have all words of a query, the newest first."""
    words = args["query"].split()[:MOST_WORDS]
    project = None if args.get("scope") == belonging.ALL else _project(context)
    where = JournalFilter(project=project)
    found = context.store.journal.search(words, where, args.get("limit", DEFAULT_LIMIT))
    return {"events": [_shown(context, one, words) for one in found]}


def others_sessions(_context: Context, args: Arguments) -> str:
    """Return why a search is an operator's: that of all projects is."""
    return "it shows what was said in all projects" if args.get("scope") == belonging.ALL else ""


def _project(context: Context) -> int:
    """Return the number of the session's project, 0 without one."""
    family = context.project
    return family.ids[0] if family is not None else 0


def _shown(context: Context, one: JournalEvent, words: list[str]) -> FoundEvent:
    withheld = prose.dangerous(one.text) and not context.grant.operator
    shown = FoundEvent(
        at=forms.timestamp(one.at), client=one.client, session=one.session, kind=one.kind,
        said_by=one.speaker, text=WITHHELD if withheld else excerpt(one.text, words),
    )  # fmt: skip
    if one.path:
        shown["path"] = one.path
    if one.exit_code is not None:
        shown["exit_code"] = one.exit_code
    return shown


def excerpt(text: str, words: list[str]) -> str:
    """Return what stands around the first word of a query that a text has, in one line."""
    text = " ".join(text.split())
    places = (text.lower().find(word.lower()) for word in words)
    first = min((place for place in places if place >= 0), default=0)
    begin = max(0, min(first - SHOWN // 3, len(text) - SHOWN))
    end = begin + SHOWN
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")


def as_text(answer: Answer) -> str:
    """Return an event a line: when, what, by whom, where, and what was said."""
    found: Any = answer["events"]
    lines = [f"{one['at'][:16]} {what(one)}" for one in found]
    return "\n".join(lines) or "The journal has nothing with all of these words."


def what(one: FoundEvent) -> str:
    """Return an event in words, without its time."""
    code = f" (exit code {one['exit_code']})" if "exit_code" in one else ""
    said = " ".join(part for part in (one.get("path", ""), one["text"]) if part)
    return f"{one['client']} {one['said_by']} {one['kind']}{code}: {said}"


PACK = Pack(
    "journal",
    "What was said and done in clients' sessions.",
    (
        Verb(
            "journal.search",
            "Search what was said and done in this project's sessions: prompts, answers, commands, "
            "errors. None of it is a stored fact.",
            search,
            {
                "query": schema.text("Words that it has, all of them.", longest=1000),
                "scope": schema.text(
                    "This project (project, the default), or all.", choices=("project", "all")
                ),
                "limit": schema.whole("At most (20).", least=1, most=200),
            },
            ("query",),
            as_text=as_text,
            read_only=True,
            audience=Audience.AGENT,
            reserved=others_sessions,
        ),
    ),
)
