"""What tasks wait for, runs of workflows and their schedules, as plain values; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.tasks.model import NewTask, Task

# --- what is done when a task that others wait for fails ------------------------------------------

#: Cancel those that wait for it, run them all the same, or hold them until it was done after all.
CANCEL, RUN, HOLD = "cancel", "run", "hold"
POLICIES = (CANCEL, RUN, HOLD)

# --- approvals ------------------------------------------------------------------------------------

#: `PLANNED`: nobody is asked yet. `ASKED` leads to one of the others.
PLANNED, ASKED, GIVEN, REFUSED, EXPIRED = "planned", "asked", "given", "refused", "expired"
#: The approver that is a person.
OPERATOR = "operator"
#: What becomes of a task that was refused: it is cancelled, or it has failed.
FAIL = "fail"
REFUSALS = (CANCEL, FAIL)
#: Seconds for which an approval may be given, unless it says otherwise.
LASTS = 7 * 86_400.0

# --- runs and schedules ---------------------------------------------------------------------------

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
RUN_STATES = (RUNNING, DONE, FAILED, CANCELLED)
#: What a schedule does about the times that it has missed: one run for all of them, or none.
CATCH_UP_ONE, CATCH_UP_NONE = "one", "none"
CATCH_UPS = (CATCH_UP_ONE, CATCH_UP_NONE)

#: Tasks that one task waits for, steps of a workflow, and parts that one step fans out into.
AFTER_LIMIT, STEPS_LIMIT, PARTS_LIMIT = 100, 200, 500


@dataclass(frozen=True, slots=True)
class Predecessor:
    """A task that must have ended before, and what its failure does to the one that waits."""

    task: int
    policy: str = CANCEL


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Who must agree (`OPERATOR`, or a role), within how many seconds, and what else happens."""

    by: str = OPERATOR
    lasts: float = LASTS
    refused: str = CANCEL


@dataclass(frozen=True, slots=True)
class Waits:
    """What a task waits for beside its turn; `start_at` is unix seconds.

    `each` is a reference to a list: the task is not done itself, but once for each of its items,
    and its result is the list of theirs. `input` is what references to `input` mean; None: there
    are none.
    """

    after: tuple[Predecessor, ...] = ()
    start_at: float | None = None
    approval: ApprovalTerms | None = None
    each: str = ""
    input: Mapping[str, Any] | None = None


#: A task that only waits for its turn.
NOTHING = Waits()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a run: its task, and the names of the steps that it comes after, with policies."""

    name: str
    task: NewTask
    after: tuple[tuple[str, str], ...] = ()
    approval: ApprovalTerms | None = None
    each: str = ""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run of a workflow that is to begin; its steps are in an order in which they may be done."""

    name: str
    definition: Mapping[str, Any]
    input: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]
    start_at: float | None = None
    idempotency: str | None = None
    schedule: int | None = None
    actor: str = ""
    namespace: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run as stored; times are unix seconds."""

    id: int
    name: str
    definition: Mapping[str, Any]
    input: Mapping[str, Any]
    state: str
    schedule: int | None
    actor: str
    namespace: str
    session: str
    created_at: float
    ended_at: float | None

    @property
    def ended(self) -> bool:
        """Return True if nothing happens in it any more unless somebody retries it."""
        return self.state != RUNNING


@dataclass(frozen=True, slots=True)
class StepTask:
    """A task of a run, by the name of its step; of a step that fanned out, `part` is which one."""

    step: str
    part: int | None
    task: Task
    after: tuple[Predecessor, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval of a task; `by` is who is asked, `decided_by` who has answered.

    `review` is the task by which a role is asked.
    """

    id: int
    task: int
    by: str
    state: str
    asked_at: float | None
    expires_at: float | None
    decided_at: float | None
    decided_by: str
    note: str
    review: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a task waits for now: tasks that have not ended or have failed, a time, an approval."""

    after: tuple[Predecessor, ...] = ()
    failed: tuple[Predecessor, ...] = ()
    start_at: float | None = None
    approval: Approval | None = None
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A workflow that is to run again and again: `cron` of five fields, in the time of `zone`."""

    name: str
    cron: str
    definition: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    zone: str = ""
    catch_up: str = CATCH_UP_ONE
    actor: str = ""
    namespace: str = ""
    session: str = ""
    cwd: str = ""
    project: Mapping[str, Any] | None = None
    configured: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule as stored. `seen` is the time up to which it was looked at, in unix seconds.

    `paused`: it begins nothing until it is resumed; what it is due for meanwhile does not count.
    """

    id: int
    new: NewSchedule
    seen: float
    created_at: float
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Firing:
    """A time at which a schedule was due, when it was seen to, and the run that this began."""

    schedule: int
    due: float
    at: float
    run: int | None
