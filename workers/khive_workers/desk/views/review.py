"""The view of what waits for a decision: candidates of sessions, and what to tidy up. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from khive_workers.desk.views.wishes import Page, Query, Reply, Wish, told

#: How a proposal is told.
KINDS = {
    "same": "said twice",
    "otherwise": "said otherwise since",
    "expired": "no longer valid",
    "faded": "faded, and never of use",
}


def wishes(_query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    return (
        Wish("review.list", {"scope": "all", "limit": 100}),
        Wish("memory.tidy"),
        Wish("memory.changes", {"limit": 10}),
    )


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    candidates, tidy, changes = replies
    return {
        "query": query,
        "candidates": told(candidates, "candidates"),
        "proposals": told(tidy, "proposals"),
        "kinds": KINDS,
        "changes": told(changes, "changes"),
        "now": now,
    }
