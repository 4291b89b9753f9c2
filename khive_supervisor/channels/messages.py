"""What people are told: an event's title and lines, and several events in one message. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from khive_supervisor.channels import events
from khive_supervisor.channels.events import Event, meaning
from khive_supervisor.text.plain_json import JsonObject

#: Characters of one line, and lines of a message of several events.
LINE_LIMIT, LINES = 300, 40
DIGEST = "digest"

#: What is said of some kinds; others are said as the audit chain's documentation has it.
_TITLES: Mapping[str, str] = {
    "task.done": "Task {id} is done",
    "task.failed": "Task {id} failed",
    "task.dead": "Task {id} is dead: its worker was lost too often",
    "task.held": "Task {id} waits for you",
    "approval.asked": "{id} waits for approval",
    "approval.unanswered": "{id} has no clear answer: somebody has to approve",
    "workflow.failed": "Workflow {id} failed",
    "role.gave_up": "Role {id} serves no more: its workers failed too often",
    "role.rolled_back": "Role {id} went back to what it was",
    "supervisor.started": "The supervisor has started",
    events.RELOAD_FAILED: "A reload failed",
    events.ROLLED_BACK: "A reload was rolled back",
    events.WAITS_FOR_YOU: "A session waits for you",
    events.BUDGET_NEAR: "Role {id} has spent most of its budget",
    events.BUDGET_EXCEEDED: "Role {id} has spent its budget",
    events.DISK_LOW: "The disk is nearly full",
    events.TEST: "This channel works",
}
#: What to do next; a command shows the rest.
_NEXT: Mapping[str, str] = {
    "task": "khive-supervisor task {id}",
    "approval": "khive-supervisor approve {id}",
    "workflow": "khive-supervisor workflow show {id}",
    "role": "khive-supervisor roles",
    "budget": "khive-supervisor budget {id}",
    "reload": "khive-supervisor reload --dry-run",
    "session": "khive-supervisor sessions",
    "disk": "khive-supervisor doctor",
    "supervisor": "khive-supervisor status",
}
#: Details that are ids, names and numbers; the others are contents.
_NAMES = ("role", "task_type", "project", "client", "worker", "task", "free", "version", "name",
          "problems", "window")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is told at once.

    Attributes:
        key: what a receiver tells repetitions by.
        kind: of its event, or `digest`.
        subject: of its event; empty for several.
        at: of its event, or of the newest.
        title, lines: for people; nothing in them acts on a terminal.
        data: for programs: the event, or the `events`.
    """

    key: str
    kind: str
    subject: str
    at: float
    title: str
    lines: tuple[str, ...]
    data: JsonObject

    @property
    def text(self) -> str:
        """Return the lines, and the key by which a repetition is known."""
        return "\n".join([*self.lines, f"id: {self.key}"])


def message_of(event: Event, *, contents: bool) -> Message:
    """Return what is told of one event; contents only where they are asked for."""
    detail = _allowed(event.detail or {}, contents=contents)
    name = _short(event.subject)
    known = _TITLES.get(event.kind)
    title = f"{name}: {meaning(event.kind)}" if known is None else known.format(id=name)
    about = [f"{key}: {plain(value)}" for key, value in detail.items() if value not in ("", None)]
    following = _NEXT.get(event.kind.partition(".")[0], "").format(id=name)
    lines = [*about, *([following] if following else [])]
    data = {"kind": event.kind, "subject": event.subject, "title": plain(title), **detail}
    shown = tuple(plain(line) for line in lines)
    return Message(event.key, event.kind, event.subject, event.at, plain(title), shown, data)


def _allowed(detail: Mapping[str, Any], *, contents: bool) -> JsonObject:
    return {name: value for name, value in detail.items() if contents or name in _NAMES}


def _short(subject: str) -> str:
    """Return an id without the kind of thing that it is of: `task/t12` is t12."""
    return subject.partition("/")[2] or subject


def gathered(messages: Sequence[Message], key: str) -> Message:
    """Return one message, of this key, that tells of all."""
    if len(messages) == 1:
        return replace(messages[0], key=key)
    lines = [one.title for one in messages[:LINES]]
    if len(messages) > LINES:
        lines.append(f"... and {len(messages) - LINES} more")
    data = {"kind": DIGEST, "events": [one.data for one in messages]}
    title = f"{len(messages)} things happened"
    newest = max(one.at for one in messages)
    return Message(key, DIGEST, "", newest, title, tuple(lines), data)


def plain(text: object) -> str:
    """Return a value on one line of bounded length, with control characters made visible."""
    line = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))
    return line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 1] + "…"
