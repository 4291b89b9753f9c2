"""What roles have done, for tests of what follows from it."""

from __future__ import annotations

from khive_supervisor.tasks.model import Record

#: A day, as days since 1970.
TODAY = 20_000


def record(
    executions: int,
    successes: int,
    *,
    role: str = "a",
    kind: str = "t",
    digest: str = "d",
    day: int = TODAY,
) -> Record:
    """Return a record of so many executions, of which so many were successes."""
    return Record(role, kind, digest, day, executions, successes)
