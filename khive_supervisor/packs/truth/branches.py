"""What was said on a branch that is not merged: marked where another branch is checked out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from khive_supervisor.projects.ancestry import Objects, default_branch, has_in_history, tips_of
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs.context import Context

#: Seconds that one call takes at most for looking into histories.
TIME_LIMIT = 0.02


def unmerged(
    context: Context, entries: Iterable[Entry], clock: Callable[[], float]
) -> Mapping[int, Mapping[str, str]]:
    """Return the marks of entries of the session's project whose branch is not merged, by id.

    A branch that was squashed has no commit in the default one's history: it stays marked until
    its memories are superseded or forgotten. What cannot be told in time has no mark.
    """
    identity, family = context.session.project, context.project
    if identity is None or family is None or not identity.base.startswith("git:"):
        return {}
    asked = [
        one
        for one in entries
        if one.branch and one.commit and one.project in family.ids and one.branch != identity.branch
    ]
    common = identity.base.removeprefix("git:")
    default = default_branch(common) if asked else ""
    asked = [one for one in asked if default and one.branch != default]
    if not asked:
        return {}
    until = clock() + TIME_LIMIT
    tips = tips_of(default, common)
    with Objects(common) as objects:
        merged = {
            commit: has_in_history(objects, tips, commit, lambda: clock() > until)
            for commit in dict.fromkeys(str(one.commit) for one in asked)
        }
    return {
        one.id: {"branch": f"on branch {one.branch}, not merged"}
        for one in asked
        if merged[str(one.commit)] is False
    }
