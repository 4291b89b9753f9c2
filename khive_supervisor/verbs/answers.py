"""What verbs that store or search take and answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict, cast

from khive_supervisor.search.engine import Hit, SearchResults
from khive_supervisor.store.model import Added, EntryFilter
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, forms, schema, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Characters of a result's content by default: ten results stay readable in a model's context.
DEFAULT_CHARACTERS = 1500
DEFAULT_LIMIT = 10
#: Entries of other projects that are counted when nothing fits.
MOST_ELSEWHERE = 20

QUERY: JsonObject = {
    "query": schema.text("What you are looking for, in any words and any language."),
    "limit": forms.LIMIT,
    "max_characters": schema.whole(
        f"Characters of each content ({DEFAULT_CHARACTERS}); memory_get has all.",
        least=50,
        most=100_000,
    ),
    "explain": schema.flag("Say how each result was ranked, and how the search went."),
}

FOUND: JsonObject = schema.record(
    {
        "results": schema.array(
            schema.record(
                {
                    "id": schema.text(),
                    "content": schema.text(),
                    "score": schema.number(),
                    "why": schema.text(),
                },
                ["id", "content", "score", "why"],
            )
        ),
        "notes": schema.array(schema.text()),
        "served_by": schema.record(
            {
                "profile": schema.text(),
                "binding": schema.text(),
                "serve": schema.text(),
            },
            ["profile", "serve"],
        ),
    },
    ["results", "served_by"],
)

STORED: JsonObject = schema.record(
    {
        "id": schema.text(),
        "status": schema.text(choices=("stored", "restored", "already known", "merged")),
        "added": schema.record(description="What a known memory has got by this."),
        "not_taken": schema.record(description="What it keeps as it was."),
        "related": schema.array(
            schema.record(
                {"id": schema.text(), "line": schema.text(), "why": schema.text()},
                ["id", "line", "why"],
            ),
            "Earlier memories that may say the same or otherwise.",
        ),
    },
    ["id", "status"],
)


def status_of(added: Added) -> str:
    """Return what became of an entry, in words."""
    if added.created:
        return "stored"
    return "restored" if added.restored else "already known"


class ShownResult(forms.ShownEntry):
    """An entry among the results of a search; `ranking` is what `explain` asks for."""

    score: float
    why: str
    older: NotRequired[str]
    ranking: NotRequired[Mapping[str, object]]


class Found(TypedDict):
    """What a search answers with; `FOUND` is its schema."""

    results: list[ShownResult]
    served_by: serving.ServedBy
    notes: NotRequired[list[str]]
    search: NotRequired[Answer]


#: Puts results in order, and gives fields to add to some, by entry id.
Arrange = Callable[[Context, Sequence[Hit]], tuple[list[Hit], Mapping[int, Mapping[str, str]]]]


def _as_found(
    _context: Context, hits: Sequence[Hit]
) -> tuple[list[Hit], Mapping[int, Mapping[str, str]]]:
    return list(hits), {}


def search(
    context: Context,
    args: Arguments,
    where: EntryFilter,
    kind: str,
    arrange: Arrange = _as_found,
) -> Found:
    """Search for a kind of consumer, and show the results as `arrange` orders and marks them."""
    explain = bool(args.get("explain")) and not context.grant.confined
    answer, served_by = serving.serve(
        context, args["query"], where, kind, limit=args.get("limit", DEFAULT_LIMIT)
    )
    characters = args.get("max_characters", DEFAULT_CHARACTERS)
    named = belonging.labels(context, (hit.entry for hit in answer.hits), args)
    hits, marks = arrange(context, answer.hits)
    shown: Found = {
        "results": [
            _result(hit, characters, explain, named.get(hit.entry.id), marks.get(hit.entry.id, {}))
            for hit in hits
        ],
        "served_by": served_by,
    }
    notes = list(answer.notes)
    if not answer.hits:
        notes += _elsewhere(context, args, where)
    if args.get("explain") and not explain:
        notes.append("The numbers of a ranking are the whole store's: a confined session has none.")
    if notes:
        shown["notes"] = notes
    if explain:
        shown["search"] = _how(answer)
    return shown


def _elsewhere(context: Context, args: Mapping[str, Any], where: EntryFilter) -> list[str]:
    """Return a note of how many entries of other projects would fit; none if none does."""
    projects = where.projects
    if projects is None or all(one.id in projects for one in context.whole_store.projects.all()):
        return []
    everywhere = replace(where, projects=None)
    counted = replace(context.search.counts)
    # Nothing of it is shown: it was served to nobody, so no profile is to learn from it.
    answer = context.search.search(
        args["query"], everywhere, limit=MOST_ELSEWHERE, now=context.now()
    )
    context.search.counts = counted  # it is no search that anybody asked for
    count = len(answer.hits)
    if not count:
        return []
    said = f"{count} or more" if count == MOST_ELSEWHERE else str(count)
    return [f'Nothing here fits; {said} of other projects would: scope = "all" asks them.']


def _result(
    hit: Hit, characters: int, explain: bool, project: str | None, marks: Mapping[str, str]
) -> ShownResult:
    shown = forms.show(hit.entry, characters, project)
    result: dict[str, object] = {**shown, "score": round(hit.score, 4), "why": hit.why, **marks}
    if explain:
        result["ranking"] = hit.details
    return cast("ShownResult", result)


def _how(answer: SearchResults) -> Answer:
    return {
        "words": answer.lexical,
        "meaning": answer.vector,
        "index_generation": answer.generation,
        "milliseconds": answer.milliseconds,
    }
