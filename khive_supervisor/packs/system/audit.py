"""The audit chain's entries as the system pack and the command line show them."""

from __future__ import annotations

import json
from typing import TypedDict

from khive_supervisor.audit.chain import AuditEntry
from khive_supervisor.errors import Denied
from khive_supervisor.store.audit import AuditFilter, AuditLog, AuditPlace
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Entries that are shown at once: unless asked otherwise, and at most.
LISTED, LISTED_MAX = 50, 1000

PROPERTIES: JsonObject = {
    "kind": schema.text(
        "Only this kind, such as task.done, or the part before its dot.", shortest=1
    ),
    "subject": schema.text(
        "Only what was done to this: task/t12, role/reviewer, profile/careful, "
        "configuration, supervisor, store, index.",
        shortest=1,
    ),
    "actor": schema.text("Only what was done by those whose name has this in it.", shortest=1),
    "since": schema.text("Only what is not older: 30m, 12h, 7d, or a time in ISO 8601."),
    "limit": schema.whole(f"How many at most ({LISTED}).", least=1, most=LISTED_MAX),
    "before": schema.whole("Only those before the entry of this number.", least=1),
    "before_of": schema.text("In a team: whose entry that is, if not this node's."),
    "node": schema.text("In a team: only what this node has written."),
}


def audit(context: Context, args: Arguments) -> Answer:
    """Return what was done, newest first."""
    patterns = context.config.session.allowed_namespaces
    if "*" not in patterns:
        raise Denied(
            "Entries of the audit chain are about all namespaces, and not all are allowed here.",
            hint="Whoever runs the supervisor can use `khive-supervisor audit show`.",
        )
    return listed(context.store.audit, args, context.now())


class ShownEvent(TypedDict):
    """An entry of a chain; a detail that somebody has broken is its text.

    `node` is whose chain it is in: empty in a store of one machine, and before each node had one.
    """

    seq: int
    node: str
    at: str
    kind: str
    actor: str
    subject: str
    detail: object
    hash: str


class AuditPage(TypedDict):
    """Entries of the chains, and the head of the one that goes on here."""

    entries: list[ShownEvent]
    head: str


def listed(chain: AuditLog, args: Arguments, now: float) -> AuditPage:
    """Return the entries that arguments of the verb ask for, and the chain's head."""
    where = AuditFilter(
        kind=args.get("kind"),
        subject=args.get("subject"),
        actor=args.get("actor"),
        since=forms.moment(args["since"], now) if "since" in args else None,
        node=args.get("node"),
    )
    before = None
    if "before" in args:
        of = args.get("before_of", chain.origin if where.node is None else where.node)
        before = AuditPlace(args["before"], of)
    entries = chain.page(where, args.get("limit", LISTED), before)
    return {"entries": [show(entry) for entry in entries], "head": str(chain.head())}


def show(entry: AuditEntry) -> ShownEvent:
    """Return one entry as plain data; a detail that somebody has broken is shown as its text."""
    try:
        detail = json.loads(entry.detail)
    except ValueError:
        detail = entry.detail
    return {
        "seq": entry.seq,
        "node": entry.origin,
        "at": _time(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "subject": entry.subject,
        "detail": detail,
        "hash": entry.hash.hex(),
    }


def _time(at: float) -> str:
    try:
        return forms.timestamp(at)
    except (ValueError, OverflowError, OSError):  # somebody has changed it
        return repr(at)
