"""The view of one memory or document: all that is known of it, and what can be done. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.views.wishes import CODE, PIECES, Page, Query, Reply, Wish, told

#: What a correction says anew, so that it does not get lost.
KEPT = ("kind", "salience", "source")
#: What is shown in a place of its own, and not among the fields.
_APART = frozenset({"id", "content", "title", "tags", "created_at", "pinned", "notes"})


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for; the id is a part of the address."""
    entry = query.get("id", "")
    return (
        Wish("memory.get", {"ids": [entry]}),
        Wish("sessions.told", {"id": entry, "limit": 20}),
        Wish("graph.neighbors", {"of": entry, "scope": "all", "limit": 50}),
        Wish("system.audit", {"subject": f"entry/{entry}", "limit": 20}),
        replace(CODE, args={"id": entry}),
        replace(PIECES, args={"id": entry}),
    )


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows; nothing of an entry that there is not."""
    found, where, linked, chain, code, pieces = replies
    entries = told(found, "entries")
    entry = entries[0] if entries else {}
    return {
        "query": query,
        "entry": entry,
        "fields": _fields(entry),
        "gone": "forgotten_at" in entry or "superseded_by" in entry,
        "notes": told(found, "notes"),
        "told": told(where, "told"),
        "linked": told(linked, "neighbors"),
        "disagrees": [one for one in told(linked, "neighbors") if one["link"] == "contradicts"],
        "about": linked.get("about", []) if isinstance(linked, dict) else [],
        "code": code.get("code", "") if isinstance(code, dict) else "",
        "pieces": told(pieces, "entries"),
        "kept": KEPT,
        "events": told(chain, "entries"),
        "now": now,
    }


def _fields(entry: JsonObject) -> list[tuple[str, str]]:
    """Return what is known of an entry beside what it says: names in words, and values."""
    return [
        (name.replace("_", " "), str(value))
        for name, value in entry.items()
        if name not in _APART and value not in ("", None, [])
    ]
