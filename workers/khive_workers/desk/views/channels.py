"""The view of channels: who is told what, how each does, and what became of messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from khive_workers.desk.views.wishes import Page, Query, Reply, Wish, told

#: Messages that are shown.
MESSAGES = 40


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    which = {name: query[name] for name in ("channel", "state") if name in query}
    return (Wish("channels.list"), Wish("channels.log", {**which, "limit": MESSAGES}))


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    channels, log = replies
    return {
        "query": query,
        "channels": told(channels, "channels"),
        "messages": told(log, "messages"),
        "now": now,
    }
