"""One run of `learn --git`: the commits that are new since the last one, and say why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from khive_supervisor.cli.connection.session import Verbs
from khive_supervisor.cli.render.output import counted
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.projects import commits, history
from khive_supervisor.projects.commits import Commit
from khive_supervisor.text.plain_json import JsonObject

#: Commits of one call, and entries of a page of what is known.
BATCH, PAGE = 100, 500
#: Commits that were refused and are named one by one.
SHOWN = 20


@dataclass(slots=True)
class CommitTally:
    """What became of the commits of a repository."""

    repository: str
    looked_at: int = 0
    known: int = 0
    without_reason: int = 0
    stored: int = 0
    #: Whether there are older commits, which nobody has looked at.
    more: bool = False
    refused: list[dict[str, str]] = field(default_factory=list)

    def as_dict(self) -> JsonObject:
        """Return it as --json prints it."""
        return {name: getattr(self, name) for name in self.__slots__}


def learn_commits(
    session: Verbs, directory: str, namespace: str | None, most: int, advance: Callable[[int], None]
) -> CommitTally:
    """Learn the commits of the repository of a directory; raises KhiveError if that cannot be."""
    found = history.read(directory, os.environ, most)
    where = {"namespace": namespace} if namespace else {}
    known = _known(session, where)
    fresh = [commit for commit in found.commits if commit.id not in known]
    wanted = [commit for commit in fresh if commits.gives_reason(commit)]
    tally = CommitTally(found.common, len(found.commits), more=found.more)
    tally.known = len(found.commits) - len(fresh)
    tally.without_reason = len(fresh) - len(wanted)
    for batch in _batches(wanted):
        said = [_said(commit) for commit in batch]
        asked = {"repository": f"git:{found.common}", "commits": said, **where}
        answer = session.request("memory.learn_commits", asked)
        tally.stored += answer["stored"]
        tally.known += answer["already_known"]
        tally.refused += answer["refused"]
        advance(len(batch))
    return tally


def _known(session: Verbs, where: JsonObject) -> set[str]:
    """Return the commits of this project that were learned before, also those forgotten since."""
    asked = {
        "source": "git:", "kind": "history", "state": "all", "limit": PAGE, "max_characters": 20,
        **where,
    }  # fmt: skip
    known: set[str] = set()
    while True:
        page = session.request("memory.list", asked)
        known |= {one["source"].removeprefix("git:") for one in page["entries"]}
        if "next" not in page:
            return known
        asked["cursor"] = page["next"]


def _said(commit: Commit) -> JsonObject:
    return {
        "id": commit.id,
        "subject": commit.subject[:1000],
        "content": commits.content(commit),
        "time": max(commit.time, 0.0),
    }


def _batches(wanted: Sequence[Commit]) -> Iterator[Sequence[Commit]]:
    return (wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH))


def summary(tally: CommitTally) -> str:
    """Return what a run has done, in words."""
    learned = f"Learned {counted(tally.stored, 'commit')} of {tally.repository}"
    others = f"{tally.known} known, {tally.without_reason} without a reason"
    lines = [f"{learned}: {tally.looked_at} looked at, {others}."]
    if tally.more:
        lines.append("There are older commits: --commits looks at more.")
    shown = tally.refused[:SHOWN]
    lines += [f"not learned: {one['commit'][:12]}: {one_line(one['why'])}" for one in shown]
    if len(tally.refused) > SHOWN:
        lines.append(f"... and {len(tally.refused) - SHOWN} more; --json lists all")
    return "\n".join(lines)
