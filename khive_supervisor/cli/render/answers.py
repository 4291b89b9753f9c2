"""What the supervisor and the verbs answer, as far as a command does more than to show it.

NotRequired is what another release may leave out, or an answer to a confined session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

from khive_supervisor.supervision.roles.status import RoleStatus

#: An answer, or a part of one, whose values are only shown.
Shown = Mapping[str, object]


class SessionShown(TypedDict):
    """An open session; `seconds` is its age."""

    id: int
    pid: int
    kind: str
    seconds: float
    client: NotRequired[str]
    client_pid: NotRequired[int]
    namespace: NotRequired[str]
    cwd: NotRequired[str]


class BuilderShown(TypedDict):
    """The process that builds the index; `progress` is its last event, with numbers."""

    running: bool
    progress: Shown | None
    failures: int
    last_exit: str


class FreshnessShown(TypedDict):
    """How changes of the store are noticed: by inotify or by looking, and why."""

    path: str
    reason: str
    rebuilds: int
    last_rebuild_reason: str
    pushes: int


class StatusShown(TypedDict):
    """The supervisor."""

    state: str
    version: str
    prefix: NotRequired[str]
    pid: int
    uptime_seconds: float
    config_file: str | None
    socket: str
    store: str
    store_problem: NotRequired[str]
    store_note: NotRequired[str]
    log: NotRequired[str]
    upgrade: NotRequired[Shown]
    http: NotRequired[Shown]
    children: NotRequired[Sequence[Shown]]
    builder: NotRequired[BuilderShown]
    index: NotRequired[Shown]
    freshness: NotRequired[FreshnessShown]
    roles: NotRequired[list[RoleStatus]]
    unserved: NotRequired[dict[str, int]]
    environment: NotRequired[dict[str, str]]
    sessions: list[SessionShown]
    ignored: NotRequired[Sequence[Shown]]


class PlanShown(TypedDict):
    """What a reload would do."""

    valid: bool
    empty: bool
    errors: list[str]
    text: str
    digest: str


class ReloadShown(TypedDict):
    """What came of a reload: `roles` has an outcome for each."""

    state: str
    changed: bool
    generation: int
    applied: list[str]
    roles: dict[str, str]
    errors: list[str]
    waits_for_restart: list[str]


class HandoverShown(TypedDict):
    """What came of an upgrade; `running` and `release` are the old release and the new one."""

    state: str
    running: str | None
    release: str
    problems: list[str]
    pid: NotRequired[int | None]


class PosteriorShown(TypedDict):
    """What is known of a weight or an entry; `ess` is how many observations it is worth."""

    mean: float
    interval_90: tuple[float, float]
    ess: float


class TargetShown(PosteriorShown):
    """An entry that a profile has learned of."""

    id: str
    events: int
    line: str


class ProfileShown(TypedDict):
    """A profile; a list of them has neither targets nor bindings."""

    name: str
    lifecycle: str
    consumer_kind: str
    description: NotRequired[str]
    weights: dict[str, PosteriorShown]
    events: int
    resets: int
    created_at: str
    updated_at: str
    targets: NotRequired[list[TargetShown]]
    bindings: NotRequired[Sequence[Shown]]
    builtin: NotRequired[str]


class EntryShown(TypedDict):
    """A result of a search."""

    id: str
    score: float
    why: str
    created_at: str
    kind: str
    tags: NotRequired[list[str]]
    title: NotRequired[str]
    content: str
    source: NotRequired[str]
    ranking: NotRequired[Shown]


class TaskShown(TypedDict):
    """A task."""

    task: str
    state: str
    role: str
    task_type: NotRequired[str]
    attempts: int
    created_at: str
    error: NotRequired[str]
    progress: NotRequired[str]
    result: NotRequired[object]
    worktree: NotRequired[Mapping[str, str]]
    events: list[Mapping[str, str]]
    log_tail: NotRequired[str]


class LearnedSource(TypedDict):
    """What the store knows of a source: how many entries it has, and how many of them live."""

    source: str
    digest: str | None
    entries: int
    live: int
    options: str


class ChangeOfSource(TypedDict):
    """What would become of a source; `gone` are lines that it no longer says."""

    source: str
    stored: NotRequired[int]
    restored: NotRequired[int]
    retired: int
    gone: list[str]
    instead_of: NotRequired[list[str]]


class SyncAnswer(TypedDict):
    """What a call has stored and retired."""

    run: NotRequired[int]
    stored: NotRequired[int]
    restored: NotRequired[int]
    already_known: NotRequired[int]
    retired: int
    changes: list[ChangeOfSource]
    refused: NotRequired[list[dict[str, str]]]
