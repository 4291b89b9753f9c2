"""Entries as lines for a context: what they say, and what has become of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.extract import answering
from khive_supervisor.briefing.lines import Line
from khive_supervisor.briefing.prompts import is_long
from khive_supervisor.capture.model import CAPTURED
from khive_supervisor.packs.memory.history import KIND as HISTORY
from khive_supervisor.packs.truth import code, recalling
from khive_supervisor.projects import commits
from khive_supervisor.search.results import Hit
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import forms, serving
from khive_supervisor.verbs.context import Context

#: Entries that are looked at for a prompt.
LOOKED_AT = 6
#: How well an entry must fit a long prompt, a report or a log, if the configuration asks for less:
#: some of its many words are in any store.
LONG_FLOOR = 0.85
#: How an entry is marked that a newer one contradicts.
_OLDER = "older"


def line_of(entry: Entry, query: str, budget: int, remarks: Iterable[str] = ()) -> Line:
    """Return an entry's line: of a long text what answers a query, in so many tokens."""
    text = _titled(entry, budget)
    day = time.strftime("%Y-%m-%d", time.gmtime(entry.created_at))
    shown = forms.show_id(entry.collection, entry.id)
    return Line(entry.id, shown, day, answering(text, query, budget), tuple(remarks))


def _titled(entry: Entry, budget: int) -> str:
    """Return an entry's text with its title where that says more.

    A commit's subject says in short what its message says: it goes first where room is wanting, and
    then what it touched and who made it.
    """
    text = entry.content
    if not entry.title or CAPTURED in entry.tags or text.startswith(entry.title):
        return text
    whole = f"{entry.title}: {text}"
    if entry.kind != HISTORY or tokens.bound(whole) <= budget:
        return whole
    return text if tokens.bound(text) <= budget else commits.reason(text)


def fitting(context: Context, query: str) -> list[tuple[Entry, tuple[str, ...]]]:
    """Return the entries that fit a query well enough, with what is to be said of each.

    One that a newer one contradicts, which is among them, is left out.
    """
    where = forms.entry_filter(context, {}, None)
    found, _ = serving.serve(
        context, query, where, serving.RECALL, limit=LOOKED_AT, floor=_floor(context, query)
    )
    hits, marks = recalling.arranged(context, found.hits)
    return [(hit.entry, remarks_of(marks, hit)) for hit in _current(hits, marks)]


def _floor(context: Context, query: str) -> float | None:
    """Return how well an entry must fit; None: as configured. Foreign models have other scores."""
    if context.config.embedder.kind != "minilm" or not is_long(query):
        return None
    return max(LONG_FLOOR, context.config.search.floor)


def _current(hits: Sequence[Hit], marks: Mapping[int, Mapping[str, str]]) -> list[Hit]:
    newer = [hit for hit in hits if _OLDER not in marks.get(hit.entry.id, {})]
    return newer or list(hits)


def remarks_of(marks: Mapping[int, Mapping[str, str]], hit: Hit) -> tuple[str, ...]:
    """Return what is to be said of a result beside its text."""
    return tuple(marks.get(hit.entry.id, {}).values())


def changed_in_code(context: Context, entries: Sequence[Entry]) -> dict[int, str]:
    """Return what has become of the code that entries are about, if it has changed."""
    said = code.freshness(context, entries, time.monotonic)
    told = {entry: found.get("code", "") for entry, found in said.items()}
    return {entry: text for entry, text in told.items() if ": changed" in text or ": gone" in text}
