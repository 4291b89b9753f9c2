"""What verbs that store or search take and answer.

An answer of a search is read by models, which pay for each word of it: a result says what differs
from the last one, and nothing that is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, NotRequired, TypedDict, cast

from khive_supervisor.search.results import Hit, SearchResults
from khive_supervisor.store.model import Added, Entry, EntryFilter
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, forms, schema, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Characters of a result's content by default: ten results stay readable in a model's context.
DEFAULT_CHARACTERS = 1500
#: Characters that are shown of a content at least.
FEWEST_CHARACTERS = 50
DEFAULT_LIMIT = 10
#: Seconds without a word of a team's server after which answers say how old they are.
OLD_AFTER = 5.0
#: Entries of other projects that are counted when nothing fits.
MOST_ELSEWHERE = 20
#: The kind that a result of a collection does not say.
USUAL_KIND = {"memory": "semantic", "knowledge": "document"}
#: What of an entry a result says in its own way, or its answer once for all.
SAID_OTHERWISE = frozenset(("id", "content", "created_at", "kind", "namespace"))
FLOOR = schema.number(
    "How well a result must fit, 0 to 1 (as configured); 0 shows whatever comes nearest.",
    least=0,
    most=1,
)

QUERY: JsonObject = {
    "query": schema.text("What you are looking for, in any words and any language."),
    "limit": forms.LIMIT,
    "max_characters": schema.whole(
        f"Characters of each content ({DEFAULT_CHARACTERS}); memory_get has all.",
        least=FEWEST_CHARACTERS,
        most=100_000,
    ),
    "floor": FLOOR,
    "explain": schema.flag("Say how each result was ranked, and how the search went."),
}

FOUND: JsonObject = schema.record(
    {
        "results": schema.array(
            schema.record(
                {
                    "id": schema.text(),
                    "content": schema.text(),
                    "score": schema.number("How well it fits the query, 0 to 1."),
                    "created_at": schema.text(),
                },
                ["id", "content", "score", "created_at"],
            )
        ),
        "notes": schema.array(schema.text()),
        "served_by": schema.record(
            {
                "profile": schema.text(),
                "binding": schema.text(),
                "serve": schema.text(),
            },
            ["serve"],
        ),
    },
    ["results", "served_by"],
)

STORED: JsonObject = schema.record(
    {
        "id": schema.text(),
        "status": schema.text(choices=("stored", "restored", "already known", "merged", "waiting")),
        "waiting": schema.whole("Its number, if it waits for the team's server; it has no id yet."),
        "note": schema.text(),
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
    ["status"],
)


def status_of(added: Added) -> str:
    """Return what became of an entry, in words."""
    if added.created:
        return "stored"
    return "restored" if added.restored else "already known"


class ShownResult(TypedDict):
    """An entry among the results of a search: what is not usual is left out.

    `pieces` are further ones of the same document; `more_pieces` of it fit as well. `before` and
    `after` are what stands around it there: an id, and the end or the beginning of that.

    `created_at` is a day of UTC; `kind` is there if it is not the collection's usual one, `why` and
    `ranking` if `explain` asked for them. memory_get has all of an entry.
    """

    id: str
    content: str
    score: float
    created_at: str
    kind: NotRequired[str]
    title: NotRequired[str]
    tags: NotRequired[list[str]]
    source: NotRequired[str]
    project: NotRequired[str]
    branch: NotRequired[str]
    valid_from: NotRequired[str]
    valid_until: NotRequired[str]
    cut: NotRequired[str]
    why: NotRequired[str]
    older: NotRequired[str]
    code: NotRequired[str]
    since: NotRequired[str]
    via: NotRequired[str]
    before: NotRequired[str]
    after: NotRequired[str]
    pieces: NotRequired[list[ShownPiece]]
    more_pieces: NotRequired[int]
    ranking: NotRequired[Mapping[str, object]]


class ShownPiece(TypedDict):
    """A further piece of a result's document; its title is there if it is another one."""

    id: str
    content: str
    title: NotRequired[str]
    cut: NotRequired[str]
    older: NotRequired[str]
    code: NotRequired[str]


class Found(TypedDict):
    """What a search answers with; `FOUND` is its schema."""

    results: list[ShownResult]
    served_by: serving.ServedBy
    namespace: NotRequired[str]
    notes: NotRequired[list[str]]
    search: NotRequired[Answer]


#: Fields to add to entries that are shown, by id.
Marks = Mapping[int, Mapping[str, str]]
#: Puts results in order, and marks entries.
Arranged = tuple[list[Hit], Marks]
Arrange = Callable[[Context, Sequence[Hit]], Arranged]


def as_found(_context: Context, hits: Sequence[Hit]) -> Arranged:
    """Return results as they were found, without marks."""
    return list(hits), {}


class PastMoment(NamedTuple):
    """The moment that a search is about, in unix seconds, and how many results it looks at."""

    at: float
    looked_at: int


def search(
    context: Context,
    args: Arguments,
    where: EntryFilter,
    kind: str,
    arrange: Arrange = as_found,
    moment: PastMoment | None = None,
) -> Found:
    """Search for a kind of consumer, and show the results as `arrange` orders and marks them.

    With a `moment` that is past, `arrange` chooses those that are shown, too.
    """
    explain = bool(args.get("explain")) and not context.grant.confined
    answer, served_by = serving.serve(
        context,
        args["query"],
        where,
        kind,
        floor=args.get("floor"),
        limit=moment.looked_at if moment else args.get("limit", DEFAULT_LIMIT),
        now=moment.at if moment else None,
    )
    characters = args.get("max_characters", DEFAULT_CHARACTERS)
    hits, marks = arrange(context, answer.hits)
    named = belonging.labels(context, (hit.entry for hit in hits), args)
    shown: Found = {
        "results": [
            show_result(hit, characters, named.get(hit.entry.id), marks, explain=explain)
            for hit in hits
        ],
        "served_by": served_by,
    }
    if where.namespaces and where.namespaces[0] != context.namespace(None):
        shown["namespace"] = where.namespaces[0]
    notes = notes_of(answer) if answer.hits or not hits else list(answer.notes)
    notes += age_notes(context.whole_store.unheard())
    if not hits:
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
    count = _fitting(context, args, replace(where, projects=None))
    if not count:
        return []
    said = f"{count} or more" if count == MOST_ELSEWHERE else str(count)
    return [f'Nothing here fits; {said} of other projects would: scope = "all" asks them.']


def _fitting(context: Context, args: Mapping[str, Any], where: EntryFilter) -> int:
    """Return how many entries fit, MOST_ELSEWHERE at most; nobody asked, and nobody is served."""
    counted = replace(context.search.counts)
    # Nothing of it is shown, so no profile is to learn from it.
    answer = context.search.search(
        args["query"],
        where,
        limit=MOST_ELSEWHERE,
        now=context.now(),
        floor=args.get("floor"),
        by_document=False,
    )
    context.search.counts = counted
    return len(answer.hits)


def age_notes(seconds: float | None) -> list[str]:
    """Return what there is to say of a copy whose server was not heard of for so many seconds."""
    if seconds is None or seconds < OLD_AFTER:
        return []
    since = "since this copy was made" if math.isinf(seconds) else f"for {seconds:.0f} s"
    return [
        f"The team's server was not heard of {since}: what others stored meanwhile is not here."
    ]


def notes_of(answer: SearchResults) -> list[str]:
    """Return what there is to say of how a search went, and why it shows nothing."""
    notes = list(answer.notes)
    if answer.missed and not answer.hits:
        best = max(one.fit for one in answer.missed)
        notes.append(
            f"Nothing fits. Left out: {len(answer.missed)} that come nearest (the best scores "
            f"{best:.2f}); floor = 0 shows them."
        )
    return notes


def show_result(
    hit: Hit,
    characters: int,
    project: str | None = None,
    marks: Marks = MappingProxyType({}),
    *,
    explain: bool = False,
) -> ShownResult:
    """Return a result as agents and people see it.

    `project` is named where it is another; `marks` are fields that only some entries have, by id.
    """
    shown = show_entry(hit.entry, characters, hit.score, project)
    shown = cast("ShownResult", {**shown, **marks.get(hit.entry.id, {})})
    if hit.pieces:
        shown["pieces"] = [_show_piece(one, hit, characters, marks) for one in hit.pieces]
    if hit.unshown:
        shown["more_pieces"] = hit.unshown
    if explain:
        shown |= {"why": hit.why, "ranking": hit.details}
    return shown


def _show_piece(piece: Hit, best: Hit, characters: int, marks: Marks) -> ShownPiece:
    """Return a further piece of a document: a third of what its best piece may have."""
    whole = forms.show(piece.entry, max(characters // 3, FEWEST_CHARACTERS))
    shown: ShownPiece = {"id": whole["id"], "content": whole["content"]}
    if "title" in whole and piece.entry.title != best.entry.title:
        shown["title"] = whole["title"]
    if "cut" in whole:
        shown["cut"] = whole["cut"]
    return cast("ShownPiece", {**shown, **marks.get(piece.entry.id, {})})


def show_entry(
    entry: Entry, characters: int, score: float, project: str | None = None
) -> ShownResult:
    """Return an entry among results; `characters` of its content at most."""
    whole = forms.show(entry, characters, project)
    shown: ShownResult = {
        "id": whole["id"],
        "content": whole["content"],
        "score": round(score, 2),
        "created_at": whole["created_at"][: len("2026-11-29")],
    }
    if entry.kind != USUAL_KIND.get(entry.collection):
        shown["kind"] = whole["kind"]
    more = {name: said for name, said in whole.items() if name not in SAID_OTHERWISE}
    return cast("ShownResult", {**shown, **more})


def _how(answer: SearchResults) -> Answer:
    return {
        "words": answer.lexical,
        "meaning": answer.vector,
        "index_generation": answer.generation,
        "milliseconds": answer.milliseconds,
    }
