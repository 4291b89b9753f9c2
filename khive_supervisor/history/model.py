"""An attempt at a task that has ended, as plain values; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, Outcome, Usage

#: The collection of the entries that tell of attempts.
COLLECTION = "execution"
#: Paths of an attempt that are kept.
FILES_LIMIT = 50
#: Who makes the links of executions, as a link says it; and those between tasks of one session,
#: which nothing but their order has brought together.
BY, BY_ORDER = "history", "history: order"


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended; `outcome` is one of `tasks.model.OUTCOMES`.

    `error`, and `answer`, the result as far as it is words, have passed the gate. `seconds` is how
    long the handler ran; None: nobody has measured it. `place` is what is left in the task's own
    directory: its `branch`, `diff`, `commit` and the paths it `touched`, each only if it is known.
    """

    outcome: str
    error: str | None = None
    seconds: float | None = None
    quality: float | None = None
    usage: Usage | None = None
    place: Mapping[str, object] | None = None
    answer: str = ""

    @classmethod
    def of(cls, outcome: Outcome, state: str) -> AttemptEnd:
        """Return how an attempt with an accepted outcome ended, which left its task in a state."""
        ended = state if state in (DONE, CANCELLED) else FAILED
        return cls(
            ended,
            outcome.error,
            outcome.latency,
            outcome.quality if ended == DONE else None,
            outcome.usage,
            outcome.place,
            _words(outcome.result) if ended == DONE else "",
        )


def _words(result: object) -> str:
    """Return a result that is words: a text, or what an agent answered; empty for other data."""
    if isinstance(result, Mapping):
        result = result.get("text")
    return result if isinstance(result, str) else ""


@dataclass(frozen=True, slots=True)
class Execution:
    """An attempt as it is kept; `entry` is the number of the entry that tells of it.

    `task_id` and `token` are None of an attempt in another store. `cost` is in millionths of a US
    dollar, `seconds` is how long the handler ran; `began_at` and `ended_at` are unix seconds.
    """

    entry: int
    task_id: int | None
    token: int | None
    attempt: int
    role: str
    task_type: str
    outcome: str
    error: str | None
    cost: int
    tokens: int
    seconds: float
    quality: float | None
    digest: str
    payload_digest: str
    session: str
    diff: str
    files: tuple[str, ...]
    began_at: float
    ended_at: float

    @property
    def success(self) -> bool:
        """Return True if it came to a result."""
        return self.outcome == DONE


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions, beside what an `EntryFilter` says; a field that is None does not count."""

    role: str | None = None
    task_type: str | None = None
    outcome: str | None = None
    #: Only those before this entry, for the next page.
    before: int | None = None


#: Lets every execution through.
ALL_EXECUTIONS = ExecutionFilter()


@dataclass(frozen=True, slots=True)
class DaySum:
    """The executions of one day (days since 1970, UTC) that counted: those that were not cancelled.

    `cost` in millionths of a US dollar; `seconds` and `seconds_squared` are sums over executions.
    """

    day: int
    executions: int
    successes: int
    cost: int
    cost_squared: float
    tokens: int
    seconds: float
    seconds_squared: float
