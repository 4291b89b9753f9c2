"""Sessions of clients as their hooks tell of them, and what was put into them; and their facets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from khive_supervisor.store.journal.model import ANY_EVENT, JournalFilter


class SessionState(StrEnum):
    """What a session does, as its last hook has told."""

    WORKING = "working"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ClientSession:
    """A session of a client.

    Attributes:
        client, session: whose it is, and the client's own name of it.
        project: the number of its project; None where there is none.
        namespace: of its memories.
        cwd, branch: where it works.
        process: the client's process, "pid:start"; empty if not known.
        state: a `SessionState`.
        epoch: how often its context began anew: at its start, when it was cleared or compacted.
        last_prompt: the beginning of what its user said last, without secrets.
        cost: in dollars, where the client tells it.
        begun_at, seen_at: its first and its last hook, in unix seconds.
        since: when it began to be in its state.
    """

    client: str
    session: str
    project: int | None = None
    namespace: str = "default"
    cwd: str = ""
    branch: str = ""
    process: str = ""
    state: str = SessionState.WAITING
    epoch: int = 0
    last_prompt: str = ""
    cost: float | None = None
    begun_at: float = 0.0
    seen_at: float = 0.0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Injection:
    """An entry that was put into a session's context.

    Attributes:
        entry: the entry's id.
        event: what it was for: `start`, `prompt` or `error`.
        epoch: the session's, then.
        tokens: what it was counted as.
        at: unix seconds.
        used: whether the session did something with it; None: that is not known yet.
        client, session: whose context it was.
        id: 0 until it is stored.
    """

    entry: int
    event: str
    epoch: int
    tokens: int
    at: float
    client: str
    session: str
    used: bool | None = None
    id: int = 0


class ClientSessionStore(Protocol):
    """Sessions of all clients, as their hooks tell of them."""

    def note(self, session: ClientSession) -> None:
        """Store how a session is now; the prompt is masked."""
        ...

    def find(self, client: str, session: str) -> ClientSession | None:
        """Return a session."""
        ...

    def page(self, where: JournalFilter = ANY_EVENT, limit: int = 50) -> list[ClientSession]:
        """Return sessions, the one that was heard of last first."""
        ...

    def erase(self, before: float, limit: int) -> int:
        """Delete sessions that were not heard of since then, at most so many; return how many.

        What was put into them is deleted as well.
        """
        ...


class InjectionStore(Protocol):
    """What was put into sessions' contexts."""

    def add(self, injections: Sequence[Injection]) -> None:
        """Note what was put in."""
        ...

    def of_session(self, client: str, session: str) -> list[Injection]:
        """Return what was put into a session, in order."""
        ...

    def of_entry(self, entry_id: int, limit: int = 20) -> list[Injection]:
        """Return where an entry was put in, the newest first."""
        ...

    def judge(self, injections: Sequence[Injection], used: bool) -> None:
        """Note of injections whether something was done with them."""
        ...
