"""The facets for journals of sessions, and for capturing: cursors, candidates, switches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from khive_supervisor.store.journal.model import (
    ANY_EVENT,
    Candidate,
    JournalEvent,
    JournalFilter,
    JournalledSession,
    TranscriptCursor,
)


class JournalStore(Protocol):
    """What happened in clients' sessions, in the order in which it was told."""

    def append(self, events: Sequence[JournalEvent]) -> list[int]:
        """Add events, all or none; return the id of each.

        Secrets are masked and private spans cut. The nth equal event (client, session, kind, path
        and text) that a hook tells of and the nth that a transcript tells of are one.
        """
        ...

    def reread(self, client: str, session: str) -> None:
        """Take it that a transcript has told of nothing yet: it is read again from its start."""
        ...

    def of_session(self, client: str, session: str, after: int = 0) -> list[JournalEvent]:
        """Return the events of a session after an id, in the order of their times."""
        ...

    def sessions(
        self, where: JournalFilter = ANY_EVENT, limit: int = 100
    ) -> list[JournalledSession]:
        """Return sessions, the one with the newest event first."""
        ...

    def search(
        self, words: Sequence[str], where: JournalFilter = ANY_EVENT, limit: int = 20
    ) -> list[JournalEvent]:
        """Return events whose text and path have all of the words, the newest first."""
        ...

    def count(self, where: JournalFilter = ANY_EVENT) -> int:
        """Return how many events there are."""
        ...

    def learned(self, client: str, session: str) -> int:
        """Return the id of the last event of a session that was learned from; 0: none was."""
        ...

    def captured(self, client: str, session: str) -> Mapping[str, int]:
        """Return the entries that parts of what was learned from a session have become."""
        ...

    def note_learned(self, client: str, session: str, up_to: int, parts: Mapping[str, int]) -> None:
        """Note how far a session was learned from, and what more it has become."""
        ...

    def erase(self, where: JournalFilter, limit: int | None = None) -> int:
        """Delete events for good, oldest first, at most so many; return how many."""
        ...


class CaptureStore(Protocol):
    """What capturing keeps for itself: how far it has read, what is to be reviewed, switches."""

    def cursor(self, path: str) -> TranscriptCursor | None:
        """Return how far a transcript was read."""
        ...

    def put_cursor(self, cursor: TranscriptCursor) -> None:
        """Note how far a transcript was read; in the transaction of what was read."""
        ...

    def cursors(self) -> list[TranscriptCursor]:
        """Return all cursors by path."""
        ...

    def propose(self, candidates: Sequence[Candidate]) -> list[int]:
        """Add candidates; return the ids of those that are new.

        One that was proposed before for the project is not, whatever became of it.
        """
        ...

    def candidate(self, candidate_id: int) -> Candidate | None:
        """Return a candidate."""
        ...

    def candidates(
        self, where: JournalFilter = ANY_EVENT, state: str | None = "open", limit: int = 100
    ) -> list[Candidate]:
        """Return candidates of a state (None: any), the oldest first."""
        ...

    def decide(self, candidate_id: int, state: str, entry: int | None = None) -> bool:
        """Say what became of an open candidate; False if there is none."""
        ...

    def switch(self, project: int | None, enabled: bool | None) -> None:
        """Turn capturing on or off for a project, or (None) all; `enabled` None: as for all."""
        ...

    def switches(self) -> dict[int | None, bool]:
        """Return what was switched, by project; None is for all."""
        ...

    def enabled_since(self) -> float:
        """Return when capturing was first turned on, of what is turned on; 0 if nothing is."""
        ...

    def allowed(self, project: int | None) -> bool:
        """Return False where capturing was turned off: for the project, or for all."""
        ...
