"""Candidates: what a rule was not sure of, shown one by one, and accepted, edited or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from khive_supervisor.access.grant import Audience
from khive_supervisor.capture import prose
from khive_supervisor.capture.model import CAPTURED
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.curation import REMEMBER
from khive_supervisor.store.journal.model import Candidate, CandidateState, JournalFilter
from khive_supervisor.store.model import How, NewEntry
from khive_supervisor.verbs import belonging, forms, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: What is done with a candidate.
ACCEPT, EDIT, DROP = "accept", "edit", "drop"
_STATES = {
    ACCEPT: CandidateState.ACCEPTED,
    EDIT: CandidateState.EDITED,
    DROP: CandidateState.DROPPED,
}
#: What an agent is shown of what looks like instructions to it.
_WITHHELD = "(withheld: it tells to run something; the user can look with khive-supervisor review)"
_SHOWN = 20


def show(context: Context, args: Arguments) -> Answer:
    """List candidates of the session's project, or of all."""
    project = None if args.get("scope") == belonging.ALL else _project(context)
    where = JournalFilter(project=project)
    limit = args.get("limit", _SHOWN)
    found = context.store.capture.candidates(where, args.get("state", "open"), limit)
    return {"candidates": [_shown(context, one) for one in found]}


def as_text(answer: Answer) -> str:
    """Return a candidate a line: its id, when, what it may be, by whom, and what was said."""
    found: Any = answer["candidates"]
    return "\n".join(
        f"{one['id']} {one['at'][:10]} {one['kind']}, said by {one['said_by']}: "
        f"{' '.join(one['text'].split())}"
        for one in found
    )


def _project(context: Context) -> int:
    """Return the number of the session's project, 0 without one."""
    family = context.project
    return family.ids[0] if family is not None else 0


def _shown(context: Context, one: Candidate) -> dict[str, object]:
    withheld = prose.dangerous(one.text) and not context.grant.operator
    shown: dict[str, object] = {
        "id": f"c{one.id}",
        "kind": one.kind,
        "text": _WITHHELD if withheld else one.text,
        "said_by": one.speaker,
        "why": one.rule,
        "client": one.client,
        "session": one.session,
        "at": forms.timestamp(one.created_at),
        "state": one.state,
    }
    if one.entry is not None:
        shown["entry"] = forms.show_id("memory", one.entry)
    return shown


def decide(context: Context, args: Arguments) -> Answer:
    """Make a memory of a candidate, as it is or in other words; or drop it."""
    found = _open(context, args["id"])
    decision = args["decision"]
    if (decision == EDIT) != ("text" in args):
        raise InvalidInput("A text is given to edit a candidate, and for nothing else.")
    if decision == DROP:
        context.store.capture.decide(found.id, CandidateState.DROPPED)
        return {"id": f"c{found.id}", "state": CandidateState.DROPPED}
    entry = _entry(context, found, args.get("text", found.text))
    with context.store.transaction():
        (added,) = ingest.add(context, [entry], (), REMEMBER)
        context.store.capture.decide(found.id, _STATES[decision], added.id)
    entry_id = forms.show_id("memory", added.id)
    return {"id": f"c{found.id}", "state": _STATES[decision], "entry": entry_id}


def _open(context: Context, text: str) -> Candidate:
    number = text.removeprefix("c")
    found = context.store.capture.candidate(int(number)) if number.isdigit() else None
    if found is None or found.state != CandidateState.OPEN:
        raise NotFound(f"There is no open candidate {text[:40]!r}.", hint="review lists them.")
    return found


def _entry(context: Context, found: Candidate, text: str) -> NewEntry:
    """Return the memory that a candidate becomes: somebody has said it now, on purpose."""
    return NewEntry(
        "memory", found.namespace, found.kind, "", ingest.check_content(context, text),
        (CAPTURED,), 0.5, 0.005, source=f"session {found.session} of {found.client}",
        project=found.project, provenance=belonging.provenance(context, How.SAID),
    )  # fmt: skip


_STATE = schema.text("Of which state (open).", choices=[*map(str, CandidateState)])
_SCOPE: Any = schema.text(
    "This project (project, the default), or all.", choices=("project", "all")
)
VERBS: Sequence[Verb] = (
    Verb(
        "review.list",
        "List what was found in sessions and no rule was sure of.",
        show,
        {
            "state": _STATE,
            "scope": _SCOPE,
            "limit": schema.whole("At most (20).", least=1, most=500),
        },
        as_text=as_text,
        read_only=True,
        quick=True,
        audience=Audience.AGENT,
    ),
    Verb(
        "review.decide",
        "Make a memory of a candidate, as it is or in other words, or drop it.",
        decide,
        {
            "id": schema.text("Such as c12.", longest=40),
            "decision": schema.text("What to do with it.", choices=(ACCEPT, EDIT, DROP)),
            "text": schema.text("The words in its place, to edit it."),
        },
        ("id", "decision"),
        audience=Audience.OPERATOR,
        because="it says on the user's behalf what is true",
    ),
)
