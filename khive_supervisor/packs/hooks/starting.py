"""The brief of a session's project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from khive_supervisor.briefing.brief import LINE_BUDGET, BriefFacts, compose
from khive_supervisor.briefing.extract import decides
from khive_supervisor.briefing.lines import Composed, Line
from khive_supervisor.packs.hooks.facts import changed_in_code, line_of
from khive_supervisor.projects import identity
from khive_supervisor.store.curation import PINNED, Listing
from khive_supervisor.store.model import Entry, EntryFilter
from khive_supervisor.tasks.model import Task, TaskFilter
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context

#: Entries and tasks of each kind that are looked at.
_LOOKED_AT = 12
#: Sessions of which the last words are told.
_SESSIONS = 3
DIGEST_TAG = "session-digest"
_DONE = frozenset(("done", "failed", "cancelled", "dead"))


def brief(context: Context, budget: int) -> str:
    """Return the brief of a session's project, in so many tokens; empty if nothing is stored."""
    return composed_brief(context, budget).text


def composed_brief(context: Context, budget: int) -> Composed:
    """Return the brief with the lines that are in it."""
    where = forms.entry_filter(context, {}, "memory")
    pinned = [one.entry for one in context.store.lists.page(Listing(where, PINNED), _LOOKED_AT)]
    recent = context.store.entries.recent(where, _LOOKED_AT)
    decided = _decided(context, where, recent)
    changed = changed_in_code(context, recent)
    family = context.project
    facts = BriefFacts(
        pinned=_lines(pinned),
        decided=_lines(decided),
        changed=[line_of(one, "", LINE_BUDGET, [changed[one.id]])
                 for one in recent if one.id in changed],
        ended=_lines(_digests(context, where)),
        open=[_of_task(task) for task in _open_tasks(context)],
    )  # fmt: skip
    return compose(facts, budget, family.name if family is not None else "")


def _lines(entries: Sequence[Entry]) -> list[Line]:
    return [line_of(one, "", LINE_BUDGET) for one in entries]


def _decided(context: Context, where: EntryFilter, recent: Sequence[Entry]) -> list[Entry]:
    """Return decisions, then what else was remembered, the newest first each."""
    kept = _of_kinds(context, where, ("decision",))
    rest = [one for one in recent if one.kind not in ("decision", "episodic")]
    firm = [one for one in rest if decides(one.content)]
    return [*kept, *firm, *(one for one in rest if one not in firm)]


def _of_kinds(context: Context, where: EntryFilter, kinds: tuple[str, ...]) -> list[Entry]:
    return context.store.entries.recent(replace(where, kinds=kinds), _LOOKED_AT)


def _digests(context: Context, where: EntryFilter) -> list[Entry]:
    tagged = replace(where, kinds=("episodic",), tags=(DIGEST_TAG,))
    return context.store.entries.recent(tagged, _SESSIONS)


def _open_tasks(context: Context) -> list[Task]:
    """Return tasks of this project that are not done."""
    own = context.session.project
    if own is None:
        return []
    where = TaskFilter(namespaces=(context.namespace(None),))
    found = context.store.tasks.page(where, _LOOKED_AT)
    return [task for task in found if task.state not in _DONE and _is_of(task, own.base)]


def _is_of(task: Task, base: str) -> bool:
    about = identity.from_dict(task.project)
    return about is not None and about.base == base


def _of_task(task: Task) -> Line:
    said = f"{task.role} {task.task_type}: {task.state}"
    return Line(0, f"t{task.id}", "", f"{said}, {task.progress}" if task.progress else said)
