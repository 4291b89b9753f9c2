"""Which tables the nodes of a team share, and which belong to one machine.

Every table stands here once; a test looks for those that do not. What people and tasks have made is
shared: a change of it travels. What speaks of one machine's processes, files and cursors is local.
"""

from __future__ import annotations

#: Each has a primary key, by which a change finds its row on another node.
SHARED: frozenset[str] = frozenset(
    {
        # what is known
        "entries", "provenance", "projects", "project_marks", "project_candidates",
        "project_roots", "sources", "source_runs", "entry_sources", "links", "code_references",
        "origins", "change_log", "entry_states", "batches", "past",
        # how it is found
        "models", "vectors", "vector_counts", "fates",
        # what was learned of it
        "profiles", "posteriors", "profile_targets", "profile_events", "feedback_mass", "bindings",
        # work
        "tasks", "task_events", "roles", "role_records", "candidate_records", "role_limits",
        "spending", "spending_days", "executions",
        "workflow_runs", "task_waits", "task_after", "approvals", "schedules",
        "schedule_firings",
        "audit", "audit_of_nodes",
    }
)  # fmt: skip

#: Shared tables that came after the first release which had teams, and with which schema.
SINCE: dict[str, int] = {"audit_of_nodes": 14}
_FIRST = 13


def needed(changes: bytes) -> int:
    """Return the schema that a node has to know to apply changes: those of tables of its own time.

    The names stand in the changes as they are; a text that has one too costs nobody anything.
    """
    return max((n for table, n in SINCE.items() if table.encode() in changes), default=_FIRST)


LOCAL: frozenset[str] = frozenset(
    {
        # Counters that this machine's processes compare: whoever applies changes counts them, too.
        "changes",
        # Made of the entries by those who apply their changes.
        "entries_fts", "entries_terms", "entries_occurrences",
        # Files of this machine's index, and how far its replica has come.
        "generations", "replica",
        # Whether candidates are available here: another machine has other programs and keys.
        "breakers",
        # What clients on this machine did, and how far their transcripts were read.
        "journal", "journal_learned", "captured", "transcripts", "candidates", "capture_switches",
        "client_sessions", "injections",
        # Who is told what happens here, and what is on its way to them.
        "channels", "deliveries", "signals",
    }
)  # fmt: skip
