"""Entries as Markdown, for people; and Markdown as memories."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from khive_supervisor.text.plain_json import JsonObject


def as_markdown(entries: Sequence[JsonObject]) -> str:
    """Return entries one after another: a heading each, what is known of it, and its text."""
    return "".join(map(_one, entries))


def _one(entry: JsonObject) -> str:
    letter = "m" if entry["collection"] == "memory" else "k"
    content = str(entry["content"]).strip()
    title = entry.get("title") or content.split("\n", 1)[0][:80]
    made = dt.datetime.fromtimestamp(entry["created_at"], dt.UTC).date().isoformat()
    facts = [f"{letter}{entry['id']}", entry["kind"], made, *(f"#{t}" for t in entry["tags"])]
    if entry.get("source"):
        facts.append(f"from {entry['source']}")
    return f"## {' '.join(title.split())}\n\n*{', '.join(facts)}*\n\n{content}\n\n"
