"""The view of the audit chain: what was done and by whom, and whether it is whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.views.wishes import VERIFY, Page, Query, Reply, Wish, told

#: Entries of a page.
ENTRIES = 60
FILTERS = ("kind", "subject", "actor", "since", "node", "before", "before_of")


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for; the chain is read whole only if that is wanted."""
    args: JsonObject = {name: query[name] for name in FILTERS if name in query}
    if "before" in args:
        args["before"] = int(args["before"]) if str(args["before"]).isdigit() else 1
    listed = Wish("system.audit", {**args, "limit": ENTRIES})
    return (listed, VERIFY if "verify" in query else Wish(""))


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    found, report = replies
    entries = told(found, "entries")
    older = {}
    if len(entries) == ENTRIES:
        last = entries[-1]
        older = {**query, "before": str(last["seq"]), "before_of": str(last["node"])}
    return {
        "query": query,
        "entries": entries,
        "head": found.get("head", "") if isinstance(found, dict) else "",
        "report": report if isinstance(report, dict) else {},
        "older": "/audit?" + urlencode(older) if older else "",
        "now": now,
    }
