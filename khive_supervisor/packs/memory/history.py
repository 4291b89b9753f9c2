"""Learning the commits of the session's repository: each reason that one gives is an entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.store.entries import gated
from khive_supervisor.store.model import How, NewEntry, SaidBy
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: The kind of such entries, and how their sources begin.
KIND, SOURCE = "history", "git:"
#: Commits of one call.
MOST = 200
#: What a reason in history counts beside what somebody has stored; it does not fade.
SALIENCE = 0.4

_COMMIT: JsonObject = schema.record(
    {
        "id": schema.text("Its id, in full.", pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$(?!\n)"),
        "subject": schema.text("The first line of its message.", longest=1000),
        "content": schema.text("Why, and what it touched.", shortest=1),
        "time": schema.number("When its author made it, in unix seconds.", least=0, most=1e11),
    },
    ["id", "subject", "content", "time"],
)


def learn(context: Context, args: Arguments) -> Answer:
    """Store commits of the session's repository; what is there already is skipped."""
    _check_project(context, args["repository"])
    namespace, project = context.namespace(args.get("namespace")), context.store_project()
    provenance = replace(belonging.provenance(context, How.LEARNED), by=SaidBy.TOOL)
    entries: list[NewEntry] = []
    refused: list[Mapping[str, str]] = []
    for one in args["commits"]:
        entry = NewEntry(
            "memory", namespace, KIND, one["subject"], one["content"],
            salience=SALIENCE, source=f"{SOURCE}{one['id']}", created_at=float(one["time"]),
            project=project, commit=one["id"], provenance=provenance,
        )  # fmt: skip
        try:
            ingest.check_content(context, entry.content)
            entries.append(gated(context.gate, entry))
        except KhiveError as error:  # one that holds a secret keeps no other from being learned
            refused.append({"commit": one["id"], "why": error.message})
    added = ingest.add(context, entries) if entries else []
    stored = sum(one.created for one in added)
    return {"stored": stored, "already_known": len(added) - stored, "refused": refused}


def _check_project(context: Context, repository: str) -> None:
    identity = context.session.project
    if identity is None or identity.base != repository:
        raise InvalidInput(
            f"{repository.removeprefix('git:')} is not the repository of this session.",
            hint="Run `khive-supervisor learn --git` in it, without CLAUDE_PROJECT_DIR.",
        )


LEARN_COMMITS = Verb(
    "memory.learn_commits",
    "Store what commits of this repository say of their reasons.",
    learn,
    {
        "repository": schema.text("The project's mark: git: and its git directory.", longest=4096),
        "commits": schema.array(_COMMIT, "The commits, the oldest first.", most=MOST),
        "namespace": schema.text("Where it belongs; the session's own when left out.", longest=128),
    },
    ("repository", "commits"),
    description="For programs; `khive-supervisor learn --git` reads a repository.",
    idempotent=True,
    audience=Audience.AGENT,
)
