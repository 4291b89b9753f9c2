"""Which project a call is about, and who it is that calls: what entries are stored with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from khive_supervisor.store.model import Entry, How, Provenance, SaidBy
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context

#: Where a search looks: in the session's project and what is about the user as a whole, in the
#: latter alone, or in all projects.
PROJECT, USER, ALL = "project", "user", "all"

EVERYWHERE = schema.flag("For every project: about the user, not about this project.")
SCOPE: JsonObject = schema.text(
    "project (this one and what is for every project; the default), user (only the latter), or "
    "all projects.",
    choices=(PROJECT, USER, ALL),
)


def to_store(context: Context, args: Mapping[str, Any]) -> int | None:
    """Return the number of the project that a call's entries get; None for every project's."""
    return None if args.get("everywhere") else context.store_project()


def checked_out(context: Context, project: int | None) -> tuple[str | None, str | None]:
    """Return branch and commit that entries of the session's project get; None where unknown."""
    identity = context.session.project
    if project is None or identity is None:
        return None, None
    return identity.branch or None, identity.commit or None


def to_search(context: Context, args: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    """Return the projects that a call looks in, None among them for every project's; None: all."""
    scope = args.get("scope", PROJECT)
    if scope == ALL:
        return None
    family = context.project if scope == PROJECT else None
    return (None, *family.ids) if family is not None else (None,)


def labels(context: Context, entries: Iterable[Entry], args: Mapping[str, Any]) -> dict[int, str]:
    """Return by entry id the names of projects that are to be told.

    Those of other projects than the session's; with scope "all" each one's.
    """
    family = context.project
    own = frozenset(family.ids) if family is not None and args.get("scope") != ALL else frozenset()
    of = {e.id: e.project for e in entries if e.project is not None and e.project not in own}
    names = context.whole_store.projects.names(set(of.values())) if of else {}
    return {entry: names[project] for entry, project in of.items() if project in names}


def provenance(context: Context, how: How) -> Provenance:
    """Return who stores something by this call, and how it came."""
    client, version = context.client
    owners = [owner for owner in context.owners if owner.startswith("task-")]
    return Provenance(
        by=_by(context),
        how=how,
        actor=context.session.actor,
        client=client,
        client_version=version,
        session=context.session.id,
        task=f"t{owners[0].removeprefix('task-')}" if owners else "",
        role=context.session.role,
    )


def described(one: Provenance) -> str:
    """Return who stored something, and how, in one short line."""
    client = " ".join(part for part in (one.client, one.client_version) if part)
    who = {SaidBy.PERSON: "the user", SaidBy.AGENT: "agent", SaidBy.TOOL: "tool"}[one.by]
    parts = [f"{one.how.value} by {who}", client]
    parts += [f"of actor {one.actor}"] if one.actor else []
    parts += [f"in task {one.task} of {one.role or 'a role'}"] if one.task else []
    parts += [f"in session {one.session}"] if one.session and not one.task else []
    return " ".join(part for part in parts if part)


def _by(context: Context) -> SaidBy:
    """Return who calls: at a command line that no agent has started, a person."""
    is_person = context.session.kind == "verbs" and context.grant.operator
    return SaidBy.PERSON if is_person else SaidBy.AGENT


def as_member(said: str, member: str) -> str:
    """Return who stored an entry, with the member of the team as whom that was; empty: nobody."""
    return ", ".join(filter(None, (said, f"as {member} of this team" if member else "")))
