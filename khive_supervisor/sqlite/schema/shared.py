"""Which tables the nodes of a team share, whose their rows are, and which belong to one machine.

Every table stands here once; a test looks for those that do not. What people and tasks have made is
shared: a change of it travels, to those who have a right to the namespace that the row is of. What
speaks of one machine's processes, files and cursors is local.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Belongs:
    """Whose the rows of a shared table are.

    Attributes:
        names: columns with the ids of rows of other tables, and these tables: a row is of the
            namespace of the first that it names, and is kept only where all that it names are.
        namespace: the column that names its namespace, if it names no such row; empty: no column.
        audit: it is of a node's audit chain.
        only: a column and the value that it has where `names` counts; None: always.
    """

    names: tuple[tuple[str, str], ...] = ()
    namespace: str = ""
    audit: bool = False
    only: tuple[str, str] | None = None


#: Without content of any namespace: every member sees it.
_TEAM = Belongs()
_OWN = Belongs(namespace="namespace")
_OF_ENTRY = Belongs((("entry_id", "entries"),))
_OF_TASK = Belongs((("task_id", "tasks"),))
_AUDIT = Belongs(audit=True)

#: Each has a primary key, by which a change finds its row on another node.
BELONGS: dict[str, Belongs] = {
    # what is known
    "entries": _OWN, "provenance": _TEAM, "projects": _TEAM, "project_marks": _TEAM,
    "project_candidates": _TEAM, "project_roots": _TEAM, "sources": _OWN, "source_runs": _TEAM,
    "entry_sources": _OF_ENTRY, "links": Belongs((("from_id", "entries"), ("to_id", "entries"))),
    "code_references": _OF_ENTRY,
    "origins": Belongs((("here", "entries"),), only=("kind", "entry")),
    "change_log": _TEAM, "entry_states": _OF_ENTRY, "batches": _OWN, "past": _TEAM,
    # how it is found
    "models": _TEAM, "vectors": _OF_ENTRY, "fates": _OF_ENTRY,
    # what was learned of it
    "profiles": _TEAM, "posteriors": _TEAM, "profile_targets": _OF_ENTRY,
    "profile_events": Belongs((("entry_id", "entries"),), namespace="namespace"),
    "feedback_mass": _OF_ENTRY, "bindings": _OWN,
    # work
    "tasks": _OWN, "task_events": _OF_TASK, "roles": _TEAM, "role_records": _TEAM,
    "candidate_records": _TEAM, "role_limits": _TEAM, "spending": _TEAM, "spending_days": _TEAM,
    "executions": _OF_ENTRY, "workflow_runs": _OWN, "task_waits": _OF_TASK,
    "task_after": _OF_TASK, "approvals": _OF_TASK, "schedules": _OWN,
    "schedule_firings": Belongs((("schedule_id", "schedules"),)),
    # Chains have no holes: those see them who see everything, and each node its own.
    "audit": _AUDIT, "audit_of_nodes": _AUDIT,
    # What one node does for all: whose term it is, and messages of those who see everything.
    "terms": _TEAM, "schedule_nodes": _TEAM, "outbox_channels": _AUDIT, "outbox_places": _AUDIT,
    "outbox": _AUDIT, "outbox_signals": _AUDIT,
}  # fmt: skip
SHARED = frozenset(BELONGS)

#: Counted by each node of what it has; nodes of the first release with teams are told of it.
COUNTED_TOGETHER = frozenset({"vector_counts"})
#: Shared tables that came after the first release which had teams, and with which schema.
SINCE: dict[str, int] = {
    "audit_of_nodes": 14, "terms": 14, "schedule_nodes": 14, "outbox_channels": 14,
    "outbox_places": 14, "outbox": 14, "outbox_signals": 14,
}  # fmt: skip
_FIRST = 13


def needed(changes: bytes) -> int:
    """Return the schema that a node has to know to apply changes: those of tables of its own time.

    The names stand in the changes as they are; a text that has one too costs nobody anything.
    """
    found = (n for table, n in SINCE.items() if table.encode() + b"\0" in changes)
    return max(found, default=_FIRST)


def needed_of(tables: Iterable[str]) -> int:
    """Return the schema that a node has to know to apply changes of tables."""
    return max((SINCE.get(table, _FIRST) for table in tables), default=_FIRST)


LOCAL: frozenset[str] = frozenset(
    {
        # Counters that this machine's processes compare: whoever applies changes counts them, too.
        "changes", "vector_counts",
        # Made of the entries by those who apply their changes.
        "entries_fts", "entries_terms", "entries_occurrences",
        # Files of this machine's index, and how far its replica has come.
        "generations", "replica",
        # Told by the server with each change, so that no change says it of itself.
        "entry_members", "task_members", "schedule_members",
        # Whether candidates are available here: another machine has other programs and keys.
        "breakers",
        # What clients on this machine did, and how far their transcripts were read.
        "journal", "journal_learned", "captured", "transcripts", "candidates", "capture_switches",
        "client_sessions", "injections",
        # Who is told what happens here, and what is on its way to them.
        "channels", "channel_places", "deliveries", "signals",
        # What the server lets this node do for all.
        "offices",
    }
)  # fmt: skip
