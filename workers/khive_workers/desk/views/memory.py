"""The view of what is known: one box for the timeline and for a search. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.views.wishes import Page, Query, Reply, Wish, told
from khive_workers.desk.views.wording import beginning, highlighted

#: Entries of one page of the timeline, and results of a search.
PAGE, RESULTS = 40, 30
#: Characters and lines of a content that a list shows.
CHARACTERS, LINES = 400, 12
#: What both the timeline and a search can be narrowed by, and what the timeline alone can.
_BOTH = ("in", "kind", "since", "until", "namespace", "by", "client", "actor", "source")
_TIMELINE = ("project", "state", "order", "cursor")
FILTERS = (*_BOTH, "tag", *_TIMELINE)
#: States that a search does not look into: what is in them is listed by its words.
_LISTED = ("forgotten", "superseded", "all")


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for: what was found, and what there is to narrow it by."""
    of = {"namespace": query["namespace"]} if "namespace" in query else {}
    return (
        _found(query),
        Wish("memory.stats", of, lasts=True),
        Wish("projects.list", of, lasts=True),
        Wish("memory.tags", {**of, "limit": 60, "in": "all"}, lasts=True),
        Wish("review.list", {"scope": "all", "limit": 100}),
    )


def searches(query: Query) -> bool:
    """Return True if a query is for a search, and not for the timeline or a list by words."""
    return "q" in query and query.get("state") not in _LISTED


def _found(query: Query) -> Wish:
    args: JsonObject = {name: query[name] for name in _BOTH if name in query}
    if "tag" in query:
        args["tags"] = [tag.strip() for tag in query["tag"].split(",") if tag.strip()]
    args["max_characters"] = CHARACTERS
    if not searches(query):
        args |= {name: query[name] for name in _TIMELINE if name in query}
        if "q" in query:
            args["contains"] = query["q"][:200]
        if "project" not in args:
            args["scope"] = "all"
        return Wish("memory.list", {**args, "limit": PAGE})
    project = query.get("project", "")
    scope = "user" if project == "everywhere" else "project" if project else "all"
    args |= {"query": query["q"], "limit": RESULTS, "explain": True, "scope": scope}
    if query.get("state") == "pinned":
        args["pinned"] = True
    return Wish("memory.recall", args, "" if project == "everywhere" else project)


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    found, stats, projects, tags, review = replies
    searched = searches(query)
    entries = told(found, "results" if searched else "entries")
    numbers = stats if isinstance(stats, dict) else {}
    answer = found if isinstance(found, dict) else {}
    return {
        "query": query,
        "searched": searched,
        "entries": [_entry(one, query.get("q", "")) for one in entries],
        "total": answer.get("total"),
        "older": _link(query, cursor=str(answer["next"])) if answer.get("next") else "",
        "notes": [*answer.get("notes", []), *_said(query)],
        "search": answer.get("search", {}),
        "kinds": sorted(numbers.get("by_kind", {})),
        "projects": [str(one["name"]) for one in told(projects, "projects")],
        "namespaces": sorted(numbers.get("by_namespace", {})),
        "tags": tags.get("tags", {}) if isinstance(tags, dict) else {},
        "candidates": len(told(review, "candidates")),
        "narrowed": sum(1 for name in FILTERS if name in query and name != "cursor"),
        "now": now,
    }


def _said(query: Query) -> list[str]:
    """Return what is not as a search usually is, so that nobody takes it for one."""
    if "q" in query and not searches(query):
        return ["These are found by their words alone: no search looks among what is not live."]
    ordered = "q" in query and "order" in query
    return ["A search has the best first, whatever the order."] if ordered else []


def _entry(one: JsonObject, query: str) -> JsonObject:
    text, title = str(one.get("content", "")), str(one.get("title", ""))
    shown = beginning(text, LINES)
    cut = one.get("cut") or shown != text
    pieces = highlighted(shown, query)
    titled, reasons = highlighted(title, query), _reasons(one)
    return {**one, "cut": cut, "pieces": pieces, "titled": titled, "reasons": reasons}


def _reasons(one: JsonObject) -> list[str]:
    """Return why a search has found an entry, in sentences."""
    ranking = one.get("ranking", {})
    words, meaning = ranking.get("words_rank"), ranking.get("meaning_rank")
    found = []
    if "as written" in str(one.get("why", "")):
        found.append("It has a name of the question just as it is written there.")
    if words:
        found.append(f"It is number {words} of those that share words with the question.")
    if meaning:
        alike = f"; the likeness is {ranking.get('meaning_cosine', 0):.2f} of 1"
        found.append(f"It is number {meaning} of those that mean something like it{alike}.")
    return found


def _link(query: Query, **more: str) -> str:
    """Return the address of this view with other filters."""
    merged: Mapping[str, str] = {**query, **more}
    return "/memory?" + urlencode(merged)
