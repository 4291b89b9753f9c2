"""Journals of sessions for a grant: what its own namespaces' sessions did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from khive_supervisor.access.grant import Grant
from khive_supervisor.store.journal.facet import CaptureStore, JournalStore
from khive_supervisor.store.journal.model import (
    ANY_EVENT,
    Candidate,
    JournalEvent,
    JournalFilter,
    JournalledSession,
)
from khive_supervisor.store.journal.sessions import (
    ClientSession,
    ClientSessionStore,
    Injection,
    InjectionStore,
)
from khive_supervisor.verbs.confined.wall import Wall, check


def _within(grant: Grant, where: JournalFilter) -> JournalFilter:
    """Return a filter that lets through nothing of other namespaces."""
    own = grant.namespaces or ()
    asked = own if where.namespaces is None else where.namespaces
    return replace(where, namespaces=tuple(name for name in asked if name in own))


class ConfinedJournal(Wall):
    """`JournalStore` for a grant."""

    _NAME = "store.journal"

    def __init__(self, journal: JournalStore, grant: Grant) -> None:
        self._journal = journal
        self._grant = grant

    def append(self, events: Sequence[JournalEvent]) -> list[int]:
        for event in events:
            check(self._grant, event.namespace)
        return self._journal.append(events)

    def of_session(self, client: str, session: str, after: int = 0) -> list[JournalEvent]:
        found = self._journal.of_session(client, session, after)
        return [one for one in found if self._grant.admits(one.namespace)]

    def sessions(
        self, where: JournalFilter = ANY_EVENT, limit: int = 100
    ) -> list[JournalledSession]:
        return self._journal.sessions(_within(self._grant, where), limit)

    def search(
        self, words: Sequence[str], where: JournalFilter = ANY_EVENT, limit: int = 20
    ) -> list[JournalEvent]:
        return self._journal.search(words, _within(self._grant, where), limit)

    def count(self, where: JournalFilter = ANY_EVENT) -> int:
        return self._journal.count(_within(self._grant, where))

    def learned(self, client: str, session: str) -> int:
        """Of a session of its own alone; of others as of one that was never learned from."""
        return self._journal.learned(client, session) if self._owns(client, session) else 0

    def captured(self, client: str, session: str) -> Mapping[str, int]:
        return self._journal.captured(client, session) if self._owns(client, session) else {}

    def note_learned(self, client: str, session: str, up_to: int, parts: Mapping[str, int]) -> None:
        if self._owns(client, session):
            self._journal.note_learned(client, session, up_to, parts)

    def _owns(self, client: str, session: str) -> bool:
        return bool(self.of_session(client, session))


class ConfinedCapture(Wall):
    """`CaptureStore` for a grant: candidates of its own; files and switches are the user's."""

    _NAME = "store.capture"

    def __init__(self, capture: CaptureStore, grant: Grant) -> None:
        self._capture = capture
        self._grant = grant

    def propose(self, candidates: Sequence[Candidate]) -> list[int]:
        for one in candidates:
            check(self._grant, one.namespace)
        return self._capture.propose(candidates)

    def candidate(self, candidate_id: int) -> Candidate | None:
        found = self._capture.candidate(candidate_id)
        return found if found and self._grant.admits(found.namespace) else None

    def candidates(
        self, where: JournalFilter = ANY_EVENT, state: str | None = "open", limit: int = 100
    ) -> list[Candidate]:
        return self._capture.candidates(_within(self._grant, where), state, limit)

    def decide(self, candidate_id: int, state: str, entry: int | None = None) -> bool:
        own = self.candidate(candidate_id) is not None
        return own and self._capture.decide(candidate_id, state, entry)

    def allowed(self, project: int | None) -> bool:
        return self._capture.allowed(project)


class ConfinedClientSessions(Wall):
    """`ClientSessionStore` for a grant: sessions of its own namespaces."""

    _NAME = "store.client_sessions"

    def __init__(self, sessions: ClientSessionStore, grant: Grant) -> None:
        self._sessions = sessions
        self._grant = grant

    def note(self, session: ClientSession) -> None:
        check(self._grant, session.namespace)
        known = self._sessions.find(session.client, session.session)
        if known is not None:
            check(self._grant, known.namespace)
        self._sessions.note(session)

    def find(self, client: str, session: str) -> ClientSession | None:
        found = self._sessions.find(client, session)
        return found if found and self._grant.admits(found.namespace) else None

    def page(self, where: JournalFilter = ANY_EVENT, limit: int = 50) -> list[ClientSession]:
        return self._sessions.page(_within(self._grant, where), limit)


class ConfinedInjections(Wall):
    """`InjectionStore` for a grant: what was put into sessions of its own namespaces."""

    _NAME = "store.injections"

    def __init__(self, injections: InjectionStore, sessions: ConfinedClientSessions) -> None:
        self._injections = injections
        self._sessions = sessions

    def add(self, injections: Sequence[Injection]) -> None:
        self._injections.add(list(filter(self._own, injections)))

    def of_session(self, client: str, session: str) -> list[Injection]:
        return list(filter(self._own, self._injections.of_session(client, session)))

    def of_entry(self, entry_id: int, limit: int = 20) -> list[Injection]:
        return list(filter(self._own, self._injections.of_entry(entry_id, limit)))

    def judge(self, injections: Sequence[Injection], used: bool) -> None:
        self._injections.judge(list(filter(self._own, injections)), used)

    def _own(self, one: Injection) -> bool:
        return self._sessions.find(one.client, one.session) is not None
