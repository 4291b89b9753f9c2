"""Tasks, the roles that do them, and how they did, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.routing.model import CandidateOffer, RouteAnswer, Unavailable
from khive_supervisor.tasks.lease import LEASE, Moment

# --- states; `states` says which follows which ----------------------------------------------------

#: `WAITING`: for other tasks, a time or an approval, so that it has no turn in the queue yet.
WAITING, QUEUED, LEASED, DONE = "waiting", "queued", "leased", "done"
FAILED, CANCELLED, DEAD = "failed", "cancelled", "dead"
STATES = (WAITING, QUEUED, LEASED, DONE, FAILED, CANCELLED, DEAD)
#: Those that only `retry` leads out of.
ENDED = (DONE, FAILED, CANCELLED, DEAD)

#: How an attempt ends that brings no outcome: its worker died, or was not heard of in time.
DIED = "died"
#: How attempts end.
OUTCOMES = (DONE, FAILED, CANCELLED, DIED)

# --- what happens to tasks, as their events say it; a task that ends has its state as an event ----

ENQUEUED, CLAIMED, REQUEUED, FENCED = "enqueued", "leased", "requeued", "fenced"
#: `HELD`: what it waits for has failed, and it goes on only once that was done after all.
HELD, FANNED_OUT = "held", "fanned_out"
CANCEL_ASKED, RETRIED, RATED = "cancel_asked", "retried", "rated"
#: Another candidate has taken the place of the one that could not do it.
FAILED_OVER = "failed_over"

# --- bounds ---------------------------------------------------------------------------------------

#: Bytes of a payload and of a result as JSON, and of the end of a log that is kept.
PAYLOAD_LIMIT, RESULT_LIMIT, LOG_LIMIT = 1 << 20, 1 << 20, 16 << 10
#: Characters of an error and of a line of progress.
ERROR_LIMIT, PROGRESS_LIMIT = 4000, 500
#: The digest that a role's record has for what its fallback did.
FALLBACK = "fallback"
#: Characters of an idempotency key.
KEY_LIMIT = 200
#: How often a task is tried unless its role says otherwise.
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be queued. `payload` is any JSON value; `deadline` is unix seconds.

    `chosen` explains how the role was selected; None if the caller named it. `project` is the
    caller's, as a `ProjectIdentity` is written. `node` is the only one of a team that can do it,
    since it is about a checkout there; empty: any that serves the role.
    `candidate` is the one of the role's that the caller asks for; empty: the best.
    """

    role: str
    task_type: str = ""
    payload: Any = None
    priority: int = 0
    idempotency: str | None = None
    deadline: float | None = None
    attempts_max: int = ATTEMPTS
    chosen: Mapping[str, Any] | None = None
    actor: str = ""
    namespace: str = ""
    session: str = ""
    cwd: str = ""
    project: Mapping[str, Any] | None = None
    node: str = ""
    candidate: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A task as stored.

    Times are unix seconds of the wall clock, for people to read, and for `deadline`, which is one.
    `lease` and `not_before` are of the clock since boot. `token` counts claims, for ever: a result
    is accepted from the last one only. In a listing, payload and result are None, and
    so is log_tail unless the task is at work.
    `cwd` is the caller's directory, `agent_session` what an agent can resume, and `place` what is
    left in a directory that the task had of its own. `project` is the caller's (the plain data of a
    `ProjectIdentity`): what the task remembers is about that. `candidate` was asked for, and
    `route` says which one has it and why; None where the role has one handler.
    """

    id: int
    role: str
    task_type: str
    payload: Any
    priority: int
    idempotency: str | None
    state: str
    attempts: int
    attempts_max: int
    token: int
    worker: str | None
    generation: int | None
    digest: str
    lease: Moment | None
    cancel_asked: bool
    deadline: float | None
    not_before: Moment | None
    progress: str | None
    result: Any
    error: str | None
    log_tail: str | None
    chosen: Mapping[str, Any] | None
    quality: float | None
    actor: str
    namespace: str
    session: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    cwd: str = ""
    agent_session: str = ""
    agent_counted: int = 0
    place: Mapping[str, Any] | None = None
    project: Mapping[str, Any] | None = None
    candidate: str = ""
    route: RouteAnswer | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing happens to it any more unless somebody retries it."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks; a field that is None does not count."""

    role: str | None = None
    state: str | None = None
    task_type: str | None = None
    #: Only those that one of these sessions has given, and of these namespaces.
    sessions: tuple[str, ...] | None = None
    namespaces: tuple[str, ...] | None = None


#: Lets every task through.
ALL_TASKS = TaskFilter()


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who asks for work: a worker process by a name that no other one ever has.

    `digest` names the handler and settings that will do it: the record is kept for these.
    `candidates`: what the role has in the place of one handler. `givers`: whose tasks it does in a
    team, beside those of its own member; `*`: everybody's.
    """

    role: str
    worker: str
    generation: int = 0
    digest: str = ""
    lease: float = LEASE
    candidates: tuple[CandidateOffer, ...] = ()
    givers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """A task that a worker now holds, and the token that its result will be accepted with.

    `agent_session` is of an attempt before, and had counted `agent_counted` tokens; `directory` is
    where the task is done, once that is known, and if it is not the role's own.
    """

    id: int
    token: int
    role: str
    task_type: str
    payload: Any
    attempts: int
    attempts_max: int
    lease: Moment
    deadline: float | None
    actor: str
    namespace: str
    session: str
    cwd: str = ""
    agent_session: str = ""
    agent_counted: int = 0
    project: Mapping[str, Any] | None = None
    #: When it was given, in unix seconds.
    created_at: float = 0.0
    directory: str = ""
    #: What the handler is told of earlier tasks like it; empty: nothing.
    history: str = ""
    #: The command that does it in the place of the role's handler: the budget is exceeded.
    fallback: tuple[str, ...] = ()
    #: The candidate that does it, by name; empty where the role has one handler.
    candidate: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used: `cost` in millionths of a US dollar, `tokens` of input and output.

    Whole numbers, so that sums are exact in whatever order they are made.
    """

    cost: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens by what they are paid as: `input` without those that came from a `cached` prompt."""

    input: int = 0
    cached: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        """Return all of them."""
        return self.input + self.cached + self.output

    def scaled(self, share: float) -> TokenCounts:
        """Return a share of each of them, in whole tokens."""
        return TokenCounts(*(round(one * share) for one in (self.input, self.cached, self.output)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: `state` is DONE, FAILED or CANCELLED (stopped because asked to).

    `latency` is how long the handler ran, in seconds of a clock that cannot be set; `quality`,
    0 to 1, is what the handler itself holds of its result. `final`: a failure that no further
    attempt can mend, so that none is made. `usage` is None if nothing is known of it. `place`
    says what is left in the task's own directory. `unavailable`: whoever was to do it could not.
    """

    state: str
    result: Any = None
    error: str | None = None
    log_tail: str | None = None
    latency: float = 0.0
    quality: float | None = None
    final: bool = False
    usage: Usage | None = None
    place: Mapping[str, Any] | None = None
    unavailable: Unavailable | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of an outcome, and the next task if one was asked for and there is one.

    Not `accepted`: the claim was no longer the last one (fenced); nothing was stored. `state` is
    the task's own then and now; None if the task is gone.
    """

    accepted: bool
    state: str | None
    next: Claim | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """A task that its worker held no longer, and the state in which that left it."""

    id: int
    role: str
    state: str


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One thing that happened to a task, in the order of `seq`."""

    seq: int
    task_id: int
    at: float
    what: str
    token: int
    worker: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Spending:
    """What one accepted attempt used, in the order of `seq`; its task may be gone."""

    seq: int
    task_id: int
    token: int
    role: str
    at: float
    usage: Usage
    by_fallback: bool = False


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many tasks of a role wait for their turn, are being done, and wait for something else."""

    queued: int = 0
    leased: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role that is configured, as the supervisor has loaded it.

    `digest` names its handler and settings; `workers`, `attempts` (at a task) and `priority` (of a
    task whose caller names none) are what they are meant to be. Out of service, tasks wait in its
    queue: somebody took it out (the digest is empty then, since nothing works by one), or it was
    given up.
    """

    role: str
    task_types: tuple[str, ...] = ()
    digest: str = ""
    generation: int = 1
    workers: int = 1
    attempts: int = ATTEMPTS
    in_service: bool = True
    priority: int = 0

    @property
    def drained(self) -> bool:
        """Whether somebody took it out of service, which holds until it is put back."""
        return not self.in_service and not self.digest


@dataclass(frozen=True, slots=True)
class Record:
    """How a role did at a type of task with one handler on one day (days since 1970, UTC)."""

    role: str
    task_type: str
    digest: str
    day: int
    executions: int
    successes: int
    quality_sum: float = 0.0
    qualities: int = 0
    latency_sum: float = 0.0
