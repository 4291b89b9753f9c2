"""What the audit chain has of each verb that changes something, or why it has nothing. Pure.

Kinds of entries stand in a tuple, a reason is a text. A test holds this to the verbs that there
are, and to the kinds that are declared.
"""

from __future__ import annotations

from collections.abc import Mapping

_DOCUMENTS = "documents are learned again from their sources; only their purge is recorded"
_JOURNAL = "it is in the journal of sessions, which has who did it and when"
_LOG = "it is in the log of channels, which has what was sent, and when"
_CHANGES = "it is in the log of changes, which undo reads; no memory's content is another one"

RECORDED: Mapping[str, tuple[str, ...] | str] = {
    "memory.remember": ("memory.remembered",),
    "memory.forget": ("memory.forgotten",),
    "memory.restore": ("memory.restored",),
    "memory.supersede": ("memory.superseded", "memory.remembered"),
    "memory.learn_commits": ("memory.remembered",),
    "memory.tidy": ("memory.forgotten", "memory.superseded"),
    "batch.run": "each of its calls is recorded as it is by itself",
    "graph.link": ("link.added", "link.ended", "memory.superseded"),
    "graph.unlink": ("link.ended",),
    "memory.prune": ("memory.forgotten",),
    "memory.purge": ("memory.purged", "store.purged", "profile.purged"),
    "memory.pin": _CHANGES,
    "memory.forget_matching": ("memory.forgotten",),
    "memory.undo": ("memory.restored", "memory.forgotten"),
    "memory.import_records": ("memory.remembered",),
    "knowledge.learn": _DOCUMENTS,
    "knowledge.sync": _DOCUMENTS,
    "knowledge.retire": _DOCUMENTS,
    "secrets.scan": "it notes how far it has looked, and changes no entry",
    "projects.merge": _CHANGES,
    "projects.rename": _CHANGES,
    "projects.move": _CHANGES,
    "brain.feedback": ("feedback.feedback",),
    "brain.auto_feedback": ("feedback.auto_feedback",),
    "brain.create_profile": ("profile.created",),
    "brain.bind": ("profile.bound",),
    "brain.unbind": ("profile.unbound",),
    "brain.activate": ("profile.lifecycle",),
    "brain.deactivate": ("profile.lifecycle",),
    "brain.archive": ("profile.lifecycle",),
    "brain.reset": ("profile.reset",),
    "agents.assign": ("task.enqueued", "task.waiting", "schedule.created"),
    "agents.cancel": ("task.cancelled", "task.cancel_asked"),
    "agents.retry": ("task.retried",),
    "agents.feedback": ("task.rated",),
    "agents.close_breaker": ("candidate.available",),
    "channels.test": _LOG,
    "channels.retry": _LOG,
    "workflow.run": ("workflow.started", "task.waiting", "task.enqueued"),
    "workflow.cancel": ("workflow.cancel_asked", "task.cancelled", "task.cancel_asked"),
    "workflow.retry": ("workflow.retried", "task.retried"),
    "workflow.approve": ("approval.given", "task.enqueued"),
    "workflow.reject": ("approval.refused", "task.cancelled"),
    "workflow.unschedule": ("schedule.removed",),
    "workflow.pause": ("schedule.paused",),
    "workflow.resume": ("schedule.resumed",),
    "index.build": ("index.build",),
    "hooks.event": _JOURNAL,
    "hooks.command": _JOURNAL,
    "capture.switch": _JOURNAL,
    "capture.backfill": _JOURNAL,
    "review.decide": ("memory.remembered", "memory.superseded"),
}
