"""What each column of text holds, and so what becomes of a secret in it.

Every column of text stands here; a test looks for those that do not. A table that is not known here
is treated as one that holds what programs write.
"""

from __future__ import annotations

import enum


class Holds(enum.Enum):
    """What a column of text holds."""

    #: What people and agents say: a secret in it is refused where it is said.
    SAID = "said"
    #: What programs write: a secret in it is masked.
    WRITTEN = "written"
    #: Names, codes and digests of this project's own, or of a closed list.
    OURS = "ours"


_SAID, _WRITTEN, _OURS = Holds.SAID, Holds.WRITTEN, Holds.OURS

#: By table, its columns of text.
TEXTS: dict[str, dict[str, Holds]] = {
    "entries": {
        "collection": _OURS, "namespace": _SAID, "kind": _SAID, "title": _SAID, "content": _SAID,
        "tags": _SAID, "source": _SAID, "branch": _WRITTEN, "commit_id": _OURS,
    },
    "projects": {"name": _WRITTEN},
    # Paths and numbers that are compared as a whole: masked, they would be nobody's.
    "project_marks": {"mark": _OURS, "node": _OURS},
    "project_candidates": {"mark": _OURS},
    "project_roots": {"root": _OURS},
    "provenance": {
        "said_by": _OURS, "how": _OURS, "actor": _SAID, "client": _WRITTEN,
        "client_version": _WRITTEN, "session": _OURS, "task": _OURS, "role": _OURS,
    },
    # Made of what has passed into `entries`.
    "entries_fts": {"scope": _OURS, "title": _OURS, "content": _OURS, "tags": _OURS},
    "sources": {"namespace": _SAID, "name": _SAID, "root": _WRITTEN, "options": _WRITTEN},
    "entry_sources": {"locator": _WRITTEN},
    "links": {"kind": _OURS, "by": _WRITTEN},
    "code_references": {
        "root": _WRITTEN, "path": _WRITTEN, "name": _WRITTEN, "value": _SAID, "blob": _OURS,
        "commit_id": _OURS,
    },
    # What clients and their transcripts tell; nobody could say it otherwise, so it is masked.
    "journal": {
        "client": _OURS, "session": _OURS, "namespace": _WRITTEN, "kind": _OURS, "speaker": _OURS,
        "text": _WRITTEN, "path": _WRITTEN, "tool": _WRITTEN,
    },
    "journal_learned": {"client": _OURS, "session": _OURS},
    "captured": {"client": _OURS, "session": _OURS, "part": _OURS},
    "transcripts": {"path": _OURS, "client": _OURS, "session": _OURS, "state": _WRITTEN},
    "candidates": {
        "rule": _OURS, "kind": _OURS, "text": _WRITTEN, "state": _OURS, "client": _OURS,
        "session": _OURS, "speaker": _OURS, "namespace": _WRITTEN,
    },
    "client_sessions": {
        "client": _OURS, "session": _OURS, "namespace": _WRITTEN, "cwd": _WRITTEN,
        "branch": _WRITTEN, "process": _OURS, "state": _OURS, "last_prompt": _WRITTEN,
    },
    "injections": {"event": _OURS, "client": _OURS, "session": _OURS},
    "channels": {"name": _OURS, "problem": _WRITTEN},
    "deliveries": {
        "key": _OURS, "kind": _OURS, "subject": _WRITTEN, "message": _WRITTEN, "state": _OURS,
        "error": _WRITTEN,
    },
    "signals": {"name": _OURS, "state": _OURS},
    "channel_places": {"origin": _OURS},
    "outbox_channels": {"name": _OURS, "problem": _WRITTEN},
    "outbox_places": {"origin": _OURS},
    "outbox": {
        "key": _OURS, "kind": _OURS, "subject": _WRITTEN, "message": _WRITTEN, "state": _OURS,
        "error": _WRITTEN,
    },
    "outbox_signals": {"name": _OURS, "state": _OURS},
    "offices": {"office": _OURS},
    "terms": {"office": _OURS, "node": _OURS},
    "schedule_nodes": {"name": _SAID, "node": _OURS},
    "models": {"model_id": _OURS},
    "vectors": {"model_id": _OURS},
    "vector_counts": {"model_id": _OURS},
    "generations": {
        "model_id": _OURS, "file": _OURS, "sha256": _OURS, "fingerprint": _OURS, "metric": _OURS,
        "state": _OURS,
    },
    "changes": {"kind": _OURS},
    "change_log": {"what": _WRITTEN, "actor": _WRITTEN},
    # Tags and kinds of entries, which have passed there.
    "entry_states": {"before": _SAID, "after": _SAID},
    "batches": {"namespace": _SAID, "key": _SAID, "ids": _OURS},
    "origins": {"store": _OURS, "kind": _OURS, "id": _OURS},
    "profiles": {
        "name": _SAID, "description": _SAID, "consumer_kind": _OURS, "lifecycle": _OURS,
    },
    "posteriors": {"weight": _OURS},
    "feedback_mass": {"source": _OURS},
    "bindings": {"actor": _SAID, "namespace": _SAID, "consumer_kind": _OURS},
    "profile_events": {
        "kind": _OURS, "signal": _OURS, "actor": _SAID, "namespace": _SAID, "session": _OURS,
        "scorer_run": _SAID, "serve": _SAID, "detail": _SAID,
    },
    "tasks": {
        "role": _OURS, "task_type": _SAID, "payload": _SAID, "idempotency": _SAID, "state": _OURS,
        "worker": _OURS, "digest": _OURS, "boot": _OURS, "progress": _WRITTEN, "result": _WRITTEN,
        "error": _WRITTEN, "log_tail": _WRITTEN, "chosen": _OURS, "actor": _SAID,
        "namespace": _SAID, "session": _OURS, "cwd": _WRITTEN, "agent_session": _WRITTEN,
        "place": _WRITTEN, "project": _WRITTEN, "node": _OURS, "candidate": _SAID,
        "route": _OURS,
    },
    # A template is a payload as its caller gave it.
    "task_waits": {"step": _OURS, "template": _SAID, "each": _OURS},
    "task_after": {"policy": _OURS},
    "approvals": {
        "approver": _OURS, "refusal": _OURS, "state": _OURS, "decided_by": _OURS, "note": _SAID,
    },
    "workflow_runs": {
        "name": _SAID, "definition": _SAID, "input": _SAID, "state": _OURS, "idempotency": _SAID,
        "actor": _SAID, "namespace": _SAID, "session": _OURS,
    },
    "schedules": {
        "name": _SAID, "cron": _OURS, "zone": _OURS, "catch_up": _OURS, "definition": _SAID,
        "input": _SAID, "actor": _SAID, "namespace": _SAID, "session": _OURS, "cwd": _WRITTEN,
        "project": _WRITTEN,
    },
    "task_events": {"what": _OURS, "worker": _OURS, "detail": _WRITTEN},
    "executions": {
        "role": _OURS, "task_type": _SAID, "outcome": _OURS, "error": _WRITTEN, "digest": _OURS,
        "payload_digest": _OURS, "session": _OURS, "diff": _WRITTEN, "files": _WRITTEN,
    },
    "role_records": {"role": _OURS, "task_type": _OURS, "digest": _OURS},
    "roles": {"node": _OURS, "role": _OURS, "task_types": _OURS, "digest": _OURS},
    "candidate_records": {"digest": _OURS, "task_type": _OURS},
    "breakers": {"digest": _OURS, "state": _OURS, "boot": _OURS, "fault": _OURS},
    "spending": {"role": _OURS},
    "spending_days": {"role": _OURS},
    "role_limits": {"node": _OURS, "role": _OURS, "limits": _OURS},
    "replica": {
        "node": _OURS, "server": _OURS, "boot": _OURS, "member": _OURS, "namespaces": _OURS,
    },
    "entry_members": {"member": _OURS},
    "task_members": {"member": _OURS},
    "schedule_members": {"member": _OURS},
    # What the chain tells is masked before it is hashed (`AuditTable.append`).
    "audit": {"kind": _OURS, "actor": _OURS, "subject": _OURS, "detail": _OURS},
    "audit_of_nodes": {
        "origin": _OURS, "kind": _OURS, "actor": _OURS, "subject": _OURS, "detail": _OURS,
    },
}  # fmt: skip


def is_guarded(table: str) -> bool:
    """Return True if what is written to a table may hold anybody's text."""
    columns = TEXTS.get(table)
    return columns is None or any(holds is not Holds.OURS for holds in columns.values())


def other_texts() -> list[tuple[str, str]]:
    """Return the tables and columns of text that are all ours; the index has no texts to read."""
    return [
        (table, column)
        for table, columns in TEXTS.items()
        for column, holds in columns.items()
        if holds is Holds.OURS and table not in ("entries_fts", "audit", "audit_of_nodes")
    ]


def kept_texts() -> list[tuple[str, str]]:
    """Return the tables and columns that may hold anybody's text."""
    return [
        (table, column)
        for table, columns in TEXTS.items()
        for column, holds in columns.items()
        if holds is not Holds.OURS
    ]
