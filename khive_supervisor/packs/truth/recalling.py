"""Recall: what disagrees side by side, what was so at an earlier moment, and what code says now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.truth import agreement, as_of, beside, branches, code, following
from khive_supervisor.search.results import Hit
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import answers, forms, schema, serving
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

#: Arguments of recall beside those of every search.
ARGUMENTS: JsonObject = {
    "as_of": schema.text("What was known and held then: ISO 8601, or an age such as 7d."),
    "follow": schema.array(
        schema.text(choices=following.READINGS),
        "Links to follow by one step: superseded_by brings what replaced a memory that fits, "
        "others what results are linked with.",
        most=len(following.READINGS),
    ),
}
#: Results that are looked at at most.
_MOST = 100


def search(
    context: Context, args: Arguments, where: EntryFilter, kind: str = serving.RECALL
) -> answers.Found:
    """Search for entries, as they are now or were at an earlier moment."""
    if "as_of" not in args:
        arrange = _following(args, where) if args.get("follow") else arranged
        arrange = beside.with_beside(arrange, args, where)
        return answers.search(context, args, where, kind, arrange)
    if args.get("follow"):
        raise InvalidInput(
            "as_of and follow are not for one question.",
            hint="graph.neighbors with as_of tells what was linked then.",
        )
    if not args.get("query", "").strip():
        raise InvalidInput("as_of needs a query.", hint="list shows what there is, by its dates.")
    at, limit = forms.moment(args["as_of"], context.now()), args.get("limit", answers.DEFAULT_LIMIT)
    moment = answers.PastMoment(at, min(_MOST, as_of.MORE * limit))
    asked = as_of.PastQuestion(args["query"], where, at, limit, args.get("floor"))
    arrange = as_of.arranged_at(asked)
    return answers.search(context, args, replace(where, until=None), kind, arrange, moment)


def _following(args: Arguments, where: EntryFilter) -> answers.Arrange:
    """Return what adds to the results what they lead to, and puts all in order."""
    limit = args.get("limit", answers.DEFAULT_LIMIT)
    asked = following.Followed(args["query"], where, args["follow"], limit, args.get("floor"))

    def arrange(context: Context, hits: Sequence[Hit]) -> answers.Arranged:
        ordered, marks = arranged(context, hits)
        found, said = following.with_linked(context, ordered, asked)
        return found, {one: {**marks.get(one, {}), **said.get(one, {})} for one in {*marks, *said}}

    return arrange


def arranged(context: Context, hits: Sequence[Hit]) -> answers.Arranged:
    """Return results in the order that they are shown in, and by entry id what is said of each."""
    ordered, marks = agreement.arranged(context, hits)
    entries = [hit.entry for hit in hits]
    together: dict[int, Mapping[str, str]] = dict(marks)
    for said in (
        code.freshness(context, entries, time.monotonic),
        branches.unmerged(context, entries, time.monotonic),
    ):
        for one, found in said.items():
            together[one] = {**together.get(one, {}), **found}
    return ordered, together
