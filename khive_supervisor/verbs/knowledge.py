"""The knowledge pack: documents that were learned, and what is worth reading of them."""

from __future__ import annotations

from typing import Any

from khive_supervisor.access.grant import Audience
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs import answers, forms, ingest, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments, Pack, Verb

#: Entries that one call may learn; a client sends more in several calls.
LEARN_LIMIT = 500
#: Entries that are embedded and committed together: work is never lost for more than these.
BATCH = 64
#: Documents do not fade: what is outdated is learned anew.
SALIENCE, DECAY = 0.5, 0.0

_ENTRY = {
    "type": "object",
    "properties": {
        "content": {"type": "string", "description": "The text."},
        "title": {"type": "string", "maxLength": 300, "description": "Its headline."},
        "tags": forms.TAGS,
        "kind": {"type": "string", "pattern": forms.KIND_PATTERN, "description": "document"},
        "source": {"type": "string", "maxLength": 4096, "description": "A path or address."},
    },
    "required": ["content"],
    "additionalProperties": False,
}


def _new_entry(context: Context, item: dict[str, Any], number: int, namespace: str) -> NewEntry:
    where = f"entries.{number}"
    return NewEntry(
        collection="knowledge",
        namespace=namespace,
        kind=item.get("kind", "document"),
        title=ingest.check_text(item.get("title", ""), f"{where}.title"),
        content=ingest.check_content(context, item["content"], f"{where}.content"),
        tags=tuple(ingest.check_text(tag, f"{where}.tags") for tag in item.get("tags", ())),
        salience=SALIENCE,
        decay=DECAY,
        source=ingest.check_text(item["source"], f"{where}.source") if "source" in item else None,
    )


def learn(context: Context, args: Arguments) -> dict[str, Any]:
    """Store many documents; those that are there already are skipped."""
    namespace = context.namespace(args.get("namespace"))
    entries = [
        _new_entry(context, item, number, namespace) for number, item in enumerate(args["entries"])
    ]
    counts = {"stored": 0, "restored": 0, "already known": 0}
    ids = []
    for start in range(0, len(entries), BATCH):
        for added in ingest.add(context, entries[start : start + BATCH]):
            counts[answers.status_of(added)] += 1
            ids.append(forms.show_id("knowledge", added.id))
        context.progress(min(start + BATCH, len(entries)), len(entries), "entries learned")
    return {
        "stored": counts["stored"],
        "restored": counts["restored"],
        "already_known": counts["already known"],
        "ids": ids,
        "namespace": namespace,
    }


def search(context: Context, args: Arguments) -> dict[str, Any]:
    """Find learned documents (and memories, if asked) by words and by meaning."""
    collection = {"knowledge": "knowledge", "memory": "memory", "all": None}[
        args.get("in", "knowledge")
    ]
    where = forms.entry_filter(context, args, collection)
    return answers.search(context, args, where, serving.SEARCH)


def suggest(context: Context, args: Arguments) -> dict[str, Any]:
    """What is worth reading for a task: ids and a line each, of memories and documents."""
    where = forms.entry_filter(context, args, None)
    limit = args.get("limit", answers.DEFAULT_LIMIT)
    answer, served_by = serving.serve(context, args["task"], where, serving.SEARCH, limit=limit)
    suggestions = [
        {
            "id": forms.show_id(hit.entry.collection, hit.entry.id),
            "line": forms.line(hit.entry),
            "why": hit.why,
        }
        for hit in answer.hits
    ]
    shown: dict[str, Any] = {"suggestions": suggestions, "served_by": served_by}
    if suggestions:
        shown["next"] = "memory_get with the ids that look useful"
    if answer.notes:
        shown["notes"] = list(answer.notes)
    return shown


PACK = Pack(
    "knowledge",
    "Documents that were learned.",
    (
        Verb(
            "knowledge.learn",
            "Store documents, many at once.",
            learn,
            {
                "entries": {
                    "type": "array",
                    "items": _ENTRY,
                    "minItems": 1,
                    "maxItems": LEARN_LIMIT,
                    "description": "The documents; what is there already is skipped.",
                },
                "namespace": forms.NAMESPACE,
            },
            ("entries",),
            description="For files and folders, `khive-supervisor learn PATH` splits and resumes.",
            idempotent=True,
            tool=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "knowledge.search",
            "Search the learned documents by words and by meaning.",
            search,
            {
                **answers.QUERY,
                **forms.FILTERS,
                "in": {
                    "type": "string",
                    "enum": ["knowledge", "memory", "all"],
                    "description": "What to search (knowledge).",
                },
            },
            ("query",),
            output=answers.FOUND,
            read_only=True,
            meaning="query",
            quick=True,
            tool=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "knowledge.suggest",
            "Name what is worth reading for a task, in a few lines.",
            suggest,
            {
                "task": {"type": "string", "description": "What you are about to do."},
                "limit": forms.LIMIT,
                **forms.FILTERS,
            },
            ("task",),
            description="Memories and documents, as ids and headlines: cheap to ask, at the start "
            "of a task.",
            read_only=True,
            meaning="task",
            quick=True,
            tool=True,
            audience=Audience.AGENT,
        ),
    ),
    consumer_kinds=("search",),
)  # fmt: skip
