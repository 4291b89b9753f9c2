"""What the supervisor and the verbs answer, as far as a command does more than to show it.

NotRequired is what another release may leave out, or an answer to a confined session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

#: An answer, or a part of one, whose values are only shown.
Shown = Mapping[str, object]


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


class PieceShown(TypedDict):
    """A further piece of a result's document."""

    id: str
    content: str


class EntryShown(TypedDict):
    """A result of a search."""

    id: str
    score: float
    created_at: str
    why: NotRequired[str]
    kind: NotRequired[str]
    tags: NotRequired[list[str]]
    title: NotRequired[str]
    content: str
    source: NotRequired[str]
    project: NotRequired[str]
    older: NotRequired[str]
    since: NotRequired[str]
    code: NotRequired[str]
    via: NotRequired[str]
    before: NotRequired[str]
    after: NotRequired[str]
    pieces: NotRequired[list[PieceShown]]
    more_pieces: NotRequired[int]
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
