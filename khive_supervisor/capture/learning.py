"""Learns from the journal of a session: facts and a digest into the memory, the rest to review."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from khive_supervisor.capture import amendments
from khive_supervisor.capture.facts import CapturedFact, learned
from khive_supervisor.capture.model import CAPTURED, DIGEST, FindingKind, SessionFinding
from khive_supervisor.redaction.gate import Mode, TextGate
from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import Candidate, JournalEvent, Speaker
from khive_supervisor.store.links import CONTRADICTS, DERIVED_FROM
from khive_supervisor.store.model import (
    Added,
    Entry,
    EntryFilter,
    How,
    NewEntry,
    Provenance,
    SaidBy,
)

#: Who links by these rules.
BY_RULE = "rule"
#: Earlier decisions of a project that an amended one is looked for among.
_EARLIER = 300
#: Salience and its loss per day: a digest is an episode, a command or decision holds.
_WEIGHTS = {"episodic": (0.3, 0.02)}
_HOLDS = (0.5, 0.005)

#: Embeds entries: a vector for each (None: later), and the name of the model.
Embedding = Callable[[Sequence[NewEntry]], tuple[Sequence[bytes | None], str | None]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What a session has become: entries that are new, and candidates that are."""

    entries: tuple[int, ...] = ()
    candidates: tuple[int, ...] = ()


def later(entries: Sequence[NewEntry]) -> tuple[Sequence[bytes | None], str | None]:
    """Leave the vectors to the index builder; full text finds the entries at once."""
    return [None] * len(entries), None


def learn(
    store: Store, client: str, session: str, *, ended: bool, embed: Embedding = later
) -> Learned:
    """Apply the rules to a session's journal, unless nothing is new in it.

    What it had become before is replaced where it says more by now; what somebody has forgotten or
    changed since is left as it is.
    """
    events = store.journal.of_session(client, session)
    newest = max((one.id for one in events), default=0)
    captured = store.journal.captured(client, session)
    new = newest > store.journal.learned(client, session)
    if not events or not (new or (ended and "digest" not in captured)):
        return Learned()
    found = learned(events, ended=ended or "digest" in captured)
    step = _Step(store, events[-1], captured, embed)
    with store.transaction():
        parts = step.store_facts(found.facts)
        step.derive(parts)
        step.amend(events, parts)
        candidates = store.capture.propose([step.candidate(one) for one in found.candidates])
        store.journal.note_learned(client, session, newest, parts)
    return Learned(tuple(parts.values()), tuple(candidates))


class _Step:
    """One look at a session: what of it is stored anew."""

    def __init__(
        self, store: Store, event: JournalEvent, captured: Mapping[str, int], embed: Embedding
    ) -> None:
        self._store = store
        self._event = event
        self._captured = captured
        self._embed = embed
        self._gate = TextGate(Mode.MASK)

    def store_facts(self, facts: Sequence[CapturedFact]) -> dict[str, int]:
        """Store facts; return those that are new or say more, by their parts."""
        entries = [self._entry(one) for one in facts]
        fresh = [
            (fact, entry)
            for fact, entry in zip(facts, entries, strict=True)
            if entry.content.strip() and self._is_fresh(fact.part, entry)
        ]
        vectors, model = self._embed([entry for _, entry in fresh])
        parts = {}
        for (fact, entry), vector in zip(fresh, vectors, strict=True):
            parts[fact.part] = self._put(fact.part, entry, vector, model if vector else None).id
        return parts

    def _is_fresh(self, part: str, entry: NewEntry) -> bool:
        """Return False for what is there, and for what somebody has taken away or changed."""
        known = self._captured.get(part)
        if known is None:
            return not self._store.entries.known([entry.content_hash])
        (before,) = self._store.entries.get([known])
        return before.live and before.content_hash != entry.content_hash

    def _put(self, part: str, entry: NewEntry, vector: bytes | None, model: str | None) -> Added:
        known = self._captured.get(part)
        if known is not None:
            (before,) = self._store.entries.get([known])
            added = self._store.entries.supersede(known, _annotated(entry, before), vector, model)
            self._store.references.add(added.id, self._store.references.of([known]).get(known, ()))
            return added
        vectors = [vector] if model else None
        return self._store.entries.add([entry], vectors, model)[0]

    def _entry(self, fact: CapturedFact) -> NewEntry:
        event, through = self._event, self._gate.written
        salience, decay = _WEIGHTS.get(fact.kind, _HOLDS)
        digest = (DIGEST,) if fact.part == "digest" else ()
        by = SaidBy.PERSON if fact.speaker == Speaker.USER else SaidBy.AGENT
        return NewEntry(
            "memory", event.namespace, fact.kind, through(fact.title), through(fact.content),
            (CAPTURED, *digest), salience, decay,
            source=through(f"session {event.session} of {event.client}"),
            created_at=fact.at or None,
            project=event.project,
            provenance=Provenance(
                by, How.CAPTURED, client=event.client, session=event.session
            ),
        )  # fmt: skip

    def candidate(self, found: SessionFinding) -> Candidate:
        event = self._event
        return Candidate(
            found.rule, found.kind, self._gate.written(found.text), event.client, event.session,
            found.speaker, event.project, event.namespace,
        )  # fmt: skip

    def derive(self, parts: Mapping[str, int]) -> None:
        """Link what was found in a session with the digest of it, which tells the rest."""
        digest = parts.get("digest", self._captured.get("digest"))
        for part, entry in parts.items():
            if digest is not None and entry != digest and part != "digest":
                self._store.links.add(entry, digest, DERIVED_FROM, BY_RULE)

    # --- amendments -----------------------------------------------------------------------------

    def amend(self, events: Sequence[JournalEvent], parts: Mapping[str, int]) -> None:
        """Link decisions to the earlier session's that they change: those may be outdated."""
        said = "\n".join(one.text for one in events if one.speaker == Speaker.USER)
        if not parts or not amendments.amends(said):
            return
        earlier = self._earlier(set(parts.values()) | set(self._captured.values()))
        about = amendments.amended(said, {number: text for number, (text, _) in earlier.items()})
        if about is None:
            return
        same = [number for number, (_, of) in earlier.items() if of == earlier[about][1]]
        for part, entry in parts.items():
            if part.startswith(("decisions", "digest")):
                for old in same:
                    self._store.links.add(entry, old, CONTRADICTS, BY_RULE)

    def _earlier(self, own: set[int]) -> dict[int, tuple[str, int | None]]:
        """Return what was captured before in the project: its text, and its session, by id."""
        where = EntryFilter(
            "memory", (self._event.namespace,), (FindingKind.DECISION, "episodic"), (CAPTURED,),
            until=self._event.at or None, projects=(self._event.project,),
        )  # fmt: skip
        found = self._store.entries.recent(where, _EARLIER)
        return {
            one.id: (f"{one.title}\n{one.content}", one.provenance)
            for one in found
            if one.id not in own
        }


def _annotated(entry: NewEntry, before: Entry) -> NewEntry:
    """Return what a part says by now, with what somebody has said of it since it was stored."""
    return replace(
        entry,
        kind=before.kind,
        tags=tuple(dict.fromkeys([*entry.tags, *before.tags])),
        salience=before.salience,
        decay=before.decay,
        valid_from=before.valid_from,
        valid_until=before.valid_until,
    )
