"""What verbs that store or search take and answer."""

from __future__ import annotations

from typing import Any

from khive_supervisor.search.engine import Answer, Hit
from khive_supervisor.store.model import Added, EntryFilter
from khive_supervisor.verbs import forms, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: Characters of a result's content by default: ten results stay readable in a model's context.
DEFAULT_CHARACTERS = 1500
DEFAULT_LIMIT = 10

QUERY: dict[str, Any] = {
    "query": {
        "type": "string",
        "description": "What you are looking for, in any words and any language.",
    },
    "limit": forms.LIMIT,
    "max_characters": {
        "type": "integer",
        "minimum": 50,
        "maximum": 100_000,
        "description": f"Characters of each content ({DEFAULT_CHARACTERS}); memory_get has all.",
    },
    "explain": {
        "type": "boolean",
        "description": "Say how each result was ranked, and how the search went.",
    },
}

FOUND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "content": {"type": "string"},
                    "score": {"type": "number"},
                    "why": {"type": "string"},
                },
                "required": ["id", "content", "score", "why"],
            },
        },
        "notes": {"type": "array", "items": {"type": "string"}},
        "served_by": {
            "type": "object",
            "properties": {
                "profile": {"type": "string"},
                "binding": {"type": "string"},
                "serve": {"type": "string"},
            },
            "required": ["profile", "serve"],
        },
    },
    "required": ["results", "served_by"],
}

STORED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "status": {"type": "string", "enum": ["stored", "restored", "already known"]},
        "added": {"type": "object", "description": "What a known memory has got by this."},
        "not_taken": {"type": "object", "description": "What it keeps as it was."},
    },
    "required": ["id", "status"],
}


def status_of(added: Added) -> str:
    """What became of an entry, in words."""
    if added.created:
        return "stored"
    return "restored" if added.restored else "already known"


def search(context: Context, args: Arguments, where: EntryFilter, kind: str) -> dict[str, Any]:
    """Search for a kind of consumer, and show the results."""
    explain = bool(args.get("explain")) and not context.grant.confined
    answer, served_by = serving.serve(
        context, args["query"], where, kind, limit=args.get("limit", DEFAULT_LIMIT)
    )
    characters = args.get("max_characters", DEFAULT_CHARACTERS)
    shown: dict[str, Any] = {
        "results": [_result(hit, characters, explain) for hit in answer.hits],
        "served_by": served_by,
    }
    notes = list(answer.notes)
    if args.get("explain") and not explain:
        notes.append("The numbers of a ranking are the whole store's: a confined session has none.")
    if notes:
        shown["notes"] = notes
    if explain:
        shown["search"] = _how(answer)
    return shown


def _result(hit: Hit, characters: int, explain: bool) -> dict[str, Any]:
    result = {
        **forms.show(hit.entry, characters),
        "score": round(hit.score, 4),
        "why": hit.why,
    }
    if explain:
        result["ranking"] = hit.details
    return result


def _how(answer: Answer) -> dict[str, Any]:
    return {
        "words": answer.lexical,
        "meaning": answer.vector,
        "index_generation": answer.generation,
        "milliseconds": answer.milliseconds,
    }
