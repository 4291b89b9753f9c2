"""What channels can tell of, and which of it goes to which channel. Pure.

The audit chain is what they tell of: each kind of its entries is a kind of event. Some events are
no entry by themselves: a reload that failed is one of several kinds, and that a session waits or a
disk is nearly full is nobody's act.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.audit.actions import BY_KIND
from khive_supervisor.config.settings.channels import Channel

TEST = "channel.test"
WAITS_FOR_YOU = "session.waiting"
DISK_LOW = "disk.low"
BUDGET_NEAR, BUDGET_EXCEEDED = "budget.near", "budget.exceeded"
RELOAD_FAILED, ROLLED_BACK = "reload.failed", "reload.rolled_back"
#: Events that are no kind of entry, and what each means.
SIGNALS: Mapping[str, str] = {
    RELOAD_FAILED: "a reload changed nothing, or not all that it should",
    ROLLED_BACK: "roles went back to what they were before a reload",
    WAITS_FOR_YOU: "a session has answered, and nobody has said anything for a minute",
    BUDGET_NEAR: "a role has spent most of its budget",
    BUDGET_EXCEEDED: "a role has spent its budget",
    DISK_LOW: "the disk that the store is on is nearly full",
    TEST: "somebody tried a channel",
}
#: What a channel tells of that does not say.
USUAL = (
    "task.done", "task.failed", "task.dead", "task.held", "approval.asked",
    "approval.unanswered", "workflow.failed", "candidate.unavailable", WAITS_FOR_YOU,
    BUDGET_NEAR, BUDGET_EXCEEDED, RELOAD_FAILED, ROLLED_BACK, "role.gave_up",
    "supervisor.started", DISK_LOW,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        kind: an entry's kind, or one of `SIGNALS`.
        subject: what it happened to, as the audit chain names it: `task/t12`. Messages of one
            subject are delivered in their order.
        at: unix seconds.
        key: the same for the same event, whoever makes it.
        role, project: whose it is; empty where it is nobody's.
        detail: what else is known of it; some of that is told only where contents are asked for.
    """

    kind: str
    subject: str
    at: float
    key: str
    role: str = ""
    project: str = ""
    detail: Mapping[str, Any] | None = None


def kinds_of(kind: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the kinds of event that an entry is, the one that says the most last."""
    if kind == "configuration.refused":
        return kind, RELOAD_FAILED
    if kind == "configuration.reverted":
        return kind, ROLLED_BACK
    if kind == "configuration.reloaded":
        if detail.get("state") == "rolled_back":
            return kind, ROLLED_BACK
        if detail.get("state") == "failed" or detail.get("errors"):
            return kind, RELOAD_FAILED
    return (kind,)


def wanted_kind(channel: Channel, kinds: tuple[str, ...]) -> str:
    """Return the kind by which a channel wants an event that is of these; empty: it does not."""
    patterns = channel.events or USUAL
    for kind in reversed(kinds):
        if kind in patterns or f"{kind.partition('.')[0]}.*" in patterns:
            return kind
    return ""


def is_for(channel: Channel, event: Event) -> bool:
    """Return True if an event of a kind that a channel wants is of its roles and projects."""
    of_role = not (channel.roles and event.role) or event.role in channel.roles
    of_project = not (channel.projects and event.project) or event.project in channel.projects
    return of_role and of_project


def meaning(kind: str) -> str:
    """Return what a kind of event means, as the end of a sentence."""
    return SIGNALS[kind] if kind in SIGNALS else BY_KIND[kind].meaning if kind in BY_KIND else kind


def unknown(patterns: tuple[str, ...]) -> Iterator[str]:
    """Return the patterns that no event is of."""
    kinds = SIGNALS.keys() | BY_KIND.keys()
    groups = {f"{kind.partition('.')[0]}.*" for kind in kinds}
    return (pattern for pattern in patterns if pattern not in kinds | groups)
