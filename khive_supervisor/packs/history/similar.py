"""What was tried on tasks like one, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from khive_supervisor.history import ranking
from khive_supervisor.history.model import COLLECTION, Execution
from khive_supervisor.history.telling import role_tag, type_tag
from khive_supervisor.packs.history.shown import ShownExecution, show_all
from khive_supervisor.search.results import Hit
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.verbs import answers, forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Attempts that are looked at for one task that is shown, since several may be at the same, and at
#: least: what they touched decides which of them come first.
LOOKED_AT, LOOKED_AT_LEAST = 3, 30


def similar(context: Context, args: Arguments) -> Answer:
    """Return the tasks that were most like what is asked, each with how its last attempt ended."""
    limit = args.get("limit", answers.DEFAULT_LIMIT)
    where = filter_of(context, args)
    looked_at = max(LOOKED_AT * limit, LOOKED_AT_LEAST)
    answer = context.search.search(
        args["query"], where, limit=looked_at, now=context.now(), floor=args.get("floor")
    )
    tasks = gathered(answer.hits, context.store.executions.of(h.entry.id for h in answer.hits))
    touched = [{path for one in attempts for path in one.files} for _, attempts in tasks]
    tasks = [tasks[place] for place in ranking.ordered(args["query"], touched)]
    last = [attempts[-1] for _, attempts in tasks[:limit]]
    shown = show_all(context, last, args)
    for one, (score, attempts) in zip(shown, tasks, strict=False):
        one["score"] = round(score, 2)
        if len(attempts) > 1:
            one["attempts"] = len(attempts)
    found: dict[str, object] = {"results": shown, "outcomes": _counted(shown)}
    return forms.noted(found, answers.notes_of(answer))


def filter_of(context: Context, args: Arguments) -> EntryFilter:
    """Return the filter of executions that a call asks for."""
    where = forms.entry_filter(context, args, COLLECTION)
    if "outcome" in args:
        where = replace(where, kinds=(args["outcome"],))
    if "role" in args:
        where = replace(where, tags=(*where.tags, role_tag(args["role"])))
    if "task_type" in args:
        where = replace(where, tags=(*where.tags, type_tag(args["task_type"])))
    return where


def gathered(
    hits: Sequence[Hit], executions: Mapping[int, Execution]
) -> list[tuple[float, list[Execution]]]:
    """Return the attempts of each task by the place of its best one, the last attempt last."""
    tasks: dict[tuple[int | None, int], tuple[float, list[Execution]]] = {}
    for hit in hits:
        one = executions.get(hit.entry.id)
        if one is not None:
            key = (one.task_id, one.entry if one.task_id is None else 0)
            tasks.setdefault(key, (hit.score, []))[1].append(one)
    return [(score, sorted(found, key=_attempt)) for score, found in tasks.values()]


def _attempt(one: Execution) -> tuple[int, int]:
    return one.token or 0, one.entry


def _counted(shown: Iterable[ShownExecution]) -> dict[str, int]:
    return dict(Counter(one["outcome"] for one in shown))
