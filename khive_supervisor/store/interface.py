"""What the rest of the project may ask of a store, whatever engine is behind it.

`sqlite.store.SqliteStore` is the one implementation. Every method is one transaction that is over
when it returns: no method leaves a cursor, a snapshot or a lock behind, so an idle process never
holds back a checkpoint. A store belongs to the process that opened it, and is used by one thread
at a time (calls of other threads wait).

Errors of every method: `StoreUnavailable` (busy, full, read-only: the same call can succeed later;
nothing was changed) and `StoreError` (damage, misuse; nothing was changed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from khive_supervisor.profiles.model import (
    ALL_BINDINGS,
    Binding,
    BindingFilter,
    EventCount,
    NewEvent,
    Profile,
    ProfileEvent,
    ProfileState,
    Recorded,
    Target,
    Weights,
)
from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.store.audit import AuditLog
from khive_supervisor.store.model import (
    EVERYTHING,
    Added,
    ChangeCounts,
    Checkpoint,
    Entry,
    EntryFilter,
    Generation,
    KnownSource,
    LearnedText,
    MissingVector,
    NewEntry,
    SourceText,
    StoreStats,
    VectorRow,
    VectorStats,
)
from khive_supervisor.store.postings import WordStore
from khive_supervisor.store.tasks import TaskStore


class EntryStore(Protocol):
    """Entries: what is remembered and learned."""

    def add(
        self,
        entries: Sequence[NewEntry],
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> list[Added]:
        """Add entries with their vectors (None: not embedded yet), all or none; in their order.

        When it returns, the entries survive a power cut. An exact duplicate (same content hash)
        of a live entry is recognised, one of a deleted entry restores it; a vector that such an
        entry lacks is stored.
        """
        ...

    def annotate(
        self,
        entry_id: int,
        tags: Sequence[str],
        kind: str | None = None,
        salience: float | None = None,
    ) -> bool:
        """Add tags to a live entry, and give it another kind or salience; whether it changed.

        It has at most TAGS_LIMIT tags: what is more is not taken.
        """
        ...

    def known(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        """The ids of the live entries with these content hashes; unknown hashes are left out."""
        ...

    def get(self, ids: Sequence[int]) -> list[Entry]:
        """The entries with these ids in the order asked, live or not; unknown ids are left out."""
        ...

    def highest_id(self) -> int:
        """The newest entry's id, 0 without any: about how many entries there are; cheap."""
        ...

    def forget(self, ids: Sequence[int]) -> list[int]:
        """Delete entries; the ids that were live until now. They can be restored."""
        ...

    def restore(self, ids: Sequence[int]) -> list[int]:
        """Bring deleted entries back; the ids that live again.

        One that has a live twin by now, or was superseded, stays as it is.
        """
        ...

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        """Put `new` in the place of the live entry `old_id`; `NotFound` if there is none.

        If `new` says nothing new (same content, kind, tags, salience, decay, source), the old one
        stays, and is the answer.
        """
        ...

    def recent(self, where: EntryFilter = EVERYTHING, limit: int = 50) -> list[Entry]:
        """The newest live entries, newest first."""
        ...

    def page(
        self, after_id: int = 0, limit: int = 500, where: EntryFilter | None = None
    ) -> list[Entry]:
        """The next entries in the order of their ids: for exports, one short transaction each.

        Without a filter all entries, also deleted and superseded ones.
        """
        ...


class SourceStore(Protocol):
    """Who says the entries that were learned. A source has one living text."""

    def say(
        self,
        text: SourceText,
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> LearnedText:
        """Store what a source says, and retire what it no longer says, all or none.

        An entry that no source says any more is deleted (`restore` brings it back); one that
        another source says lives on. Tags of a known entry are added, a kind that was asked for is
        taken. Of a text in several parts, what is new is not live before the last part if there is
        old text that it replaces: at no time are both, or neither, found.
        """
        ...

    def begin_run(self) -> int:
        """A number for a reading of sources, greater than all before."""
        ...

    def last_run(self) -> int:
        """The number that `begin_run` gave last; 0: none."""
        ...

    def end_sources(self, namespace: str, names: Iterable[str]) -> tuple[int, ...]:
        """Retire all that these sources say; the entries that were live until now."""
        ...

    def sources_below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        """The next sources after a name that are files in a folder, by name."""
        ...

    def sources_named(self, namespace: str, names: Sequence[str]) -> list[KnownSource]:
        """Those of these sources that say something."""
        ...

    def sources_with(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        """The sources whose text has one of these digests."""
        ...

    def sources_of(self, entry: int) -> list[tuple[str, str, float | None]]:
        """Who says an entry: name, place there, and when it stopped saying so."""
        ...

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        """Those of the content hashes that need no vector: live, or deleted with one."""
        ...


class FullText(Protocol):
    """The lexical arm, and the filters."""

    def match(
        self,
        expression: str,
        limit: int,
        where: EntryFilter = EVERYTHING,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        above: int = 0,
    ) -> list[tuple[int, float]]:
        """Live entries that match an expression of `text.match_expression`, best first.

        Scores are BM25, greater is better (never negative for a match that counts); `weights`
        are those of title, content and tags; only entries with an id above `above`. An empty
        expression matches nothing.
        """
        ...

    def tokens(self, terms: Iterable[str]) -> dict[str, list[str]]:
        """Each term of `text.query_terms` as the index knows it: stemmed, without diacritics.

        One token is a word, several are a phrase, none is nothing that the index holds.
        """
        ...

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """In how many entries each term of `text.query_terms` occurs (0: in none).

        Entries that were deleted a short while ago may still be counted.
        """
        ...

    def tidy(self, *, begin: bool) -> bool:
        """Put the index's parts together in one short step; whether another one has more to do.

        Every search looks into every part: after a large import, tidying makes searches almost
        twice as quick. `begin` with the first step of a series, not with the others.
        """
        ...

    def live_count(self, where: EntryFilter = EVERYTHING) -> int:
        """How many live entries there are."""
        ...

    def live_ids(self, where: EntryFilter, limit: int) -> list[int] | None:
        """The ids of the live entries, in order, or None if there are more than `limit`."""
        ...

    def filter_ids(self, ids: Iterable[int], where: EntryFilter = EVERYTHING) -> set[int]:
        """Those of the ids that are live and pass the filter."""
        ...


class VectorStore(Protocol):
    """Vectors, opaque to the store but for their length: equal for all of a model."""

    def put_vectors(self, model_id: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        """Store vectors of entries; how many were stored.

        An entry that has one already, or that no longer exists, is passed over: the call can be
        repeated. `InvalidInput` if a length is not the model's.
        """
        ...

    def vectors_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """The next vectors of a model above a sequence number, in order; dead entries' too."""
        ...

    def newest_vectors(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """The last `limit` vectors of a model above a sequence number, in order."""
        ...

    def live_vectors_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """Like `vectors_after`, of live entries only."""
        ...

    def vectors_of(self, model_id: str, ids: Iterable[int]) -> list[VectorRow]:
        """The vectors of these entries, in no particular order."""
        ...

    def missing_vectors(self, model_id: str, limit: int, after_id: int = 0) -> list[MissingVector]:
        """The next live entries above `after_id` without a vector of the model, by id."""
        ...

    def drop_vectors_except(self, model_id: str, limit: int = 2000) -> int:
        """Remove up to `limit` vectors of other models; how many went (0: none is left)."""
        ...

    def vector_stats(self, model_id: str) -> VectorStats:
        """How far the model covers the live entries; counts, so not for every request."""
        ...

    def last_seq(self, model_id: str) -> int:
        """The highest sequence number of the model's vectors, 0 without any; cheap."""
        ...


class GenerationStore(Protocol):
    """The index generations' rows."""

    def current_generation(self, model_id: str) -> Generation | None:
        """The generation that serves the model, or None."""
        ...

    def generations(self) -> list[Generation]:
        """All rows, oldest first."""
        ...

    def next_generation(self) -> int:
        """The number that the next generation has to take; the builder's lock reserves it."""
        ...

    def publish_generation(self, generation: Generation) -> None:
        """Make it the current one of its model, in one transaction; the one before retires.

        `StoreError` if the number is taken.
        """
        ...

    def retire_generations_except(self, model_id: str) -> int:
        """After a change of model: those of other models are current no more; how many."""
        ...

    def remove_generation(self, generation: int) -> bool:
        """Forget a retired generation whose file is gone; whether it was there and retired."""
        ...


class ProfileStore(Protocol):
    """Profiles, what feedback has taught them, and who is served by which.

    Every change that a name asks for is `NotFound` without that profile. Feedback is an event and
    an addition in one transaction, so two writers never overwrite each other.
    """

    def create_profile(
        self,
        name: str,
        description: str = "",
        consumer_kind: str = "recall",
        priors: Weights | None = None,
    ) -> Profile:
        """Make an active profile; `InvalidInput` if the name is taken or cannot be one."""
        ...  # fmt: skip

    def profile(self, name: str) -> Profile | None:
        """The profile of a name, or None."""
        ...

    def profiles(self, lifecycle: str | None = None) -> list[Profile]:
        """All profiles, oldest first, or those of a lifecycle."""
        ...

    def set_lifecycle(self, name: str, lifecycle: str) -> Profile:
        """Activate, deactivate or archive; `InvalidInput` or `Denied` if there is no such way."""
        ...

    def reset_profile(self, name: str) -> Profile:
        """Back to the priors, targets and masses forgotten; the events stay."""
        ...

    def bind(self, binding: Binding) -> Binding | None:
        """Let a profile serve what the binding matches; the one of the same key that it replaces.

        `InvalidInput` if it would tie with another one, `Denied` if the profile is archived.
        """
        ...

    def unbind(self, where: BindingFilter) -> list[Binding]:
        """Remove bindings; those that were removed."""
        ...

    def bindings(self, where: BindingFilter = ALL_BINDINGS) -> list[Binding]:
        """Bindings in the order in which they were made."""
        ...

    def record(self, event: NewEvent) -> Recorded:
        """Log feedback and let it count, as far as its source's mass allows.

        When it returns, the event survives a power cut, and is counted exactly once. `NotFound`
        without the profile or the target, `Denied` if the profile is archived; an entry that was
        forgotten is `InvalidInput`. A judgement that is there already is answered as a duplicate.
        """
        ...

    def record_many(self, events: Sequence[NewEvent]) -> list[Recorded]:
        """Like `record` for each, in one transaction: all or none."""
        ...

    def profile_events(self, name: str, after_seq: int = 0, limit: int = 500) -> list[ProfileEvent]:
        """The next events of a profile above a number, in order."""
        ...

    def event_counts(
        self,
        since: float,
        until: float | None = None,
        group: str = "kind",
        actor: str | None = None,
    ) -> list[EventCount]:
        """How many events there were by kind, signal, profile, day (UTC) or actor."""
        ...  # fmt: skip

    def targets_of(self, profile_id: int, entry_ids: Sequence[int]) -> dict[int, Beta]:
        """What a profile has learned of these entries; unknown ones are left out. Cheap."""
        ...

    def top_targets(self, profile_id: int, limit: int = 10) -> list[tuple[int, Target]]:
        """The entries that a profile holds in the highest esteem, best first."""
        ...

    def profile_state(self, name: str) -> tuple[ProfileState, int]:
        """What the tables say of a profile, and the number of its last event that they hold."""
        ...


class Store(
    EntryStore, SourceStore, FullText, VectorStore, GenerationStore, ProfileStore, Protocol
):
    """All of it."""

    @property
    def tasks(self) -> TaskStore:
        """Tasks and roles: what is asked of them is in `task_interface`."""
        ...

    @property
    def words(self) -> WordStore:
        """What the full-text index holds, for who keeps it in another form."""
        ...

    @property
    def audit(self) -> AuditLog:
        """What was done, as a chain of hashes: see `audit_interface`."""
        ...

    @property
    def path(self) -> str:
        """The absolute path of the store; the index lives in `index/` beside it."""
        ...

    def close(self) -> None:
        """Let go of everything; again is harmless."""
        ...

    def data_version(self) -> int:
        """A number that changes with every commit of any *other* connection (1-2 µs).

        Own commits do not change it, a checkpoint that empties the log may, and numbers of two
        connections are not comparable. It is to be read before the rows that it stands for.
        """
        ...

    def change_token(self) -> tuple[int, int] | None:
        """`data_version` and a count of own commits: changes with every commit, own ones too.

        None inside a transaction, where SQLite's number stands still: nothing can be said there.
        """
        ...

    def change_counts(self) -> ChangeCounts:
        """How often each kind of thing has changed, and in which past: one cheap statement."""
        ...

    def past(self) -> bytes:
        """A name for the store's past: another one once a backup has taken the store's place.

        Ids and numbers that were read under another name mean nothing any more.
        """
        ...

    def transaction(self) -> AbstractContextManager[object]:
        """All calls inside commit together or not at all; takes the write lock at once."""
        ...

    def stats(self) -> StoreStats:
        """The store in numbers; counts, so not for every request."""
        ...

    def namespaces(self, collection: str | None = None) -> Mapping[str, int]:
        """How many live entries each namespace has."""
        ...

    def checkpoint(self, truncate: bool = False) -> Checkpoint:
        """Move the write-ahead log into the file without waiting for readers (PASSIVE).

        With `truncate`, wait for them up to the busy timeout and shrink the log to nothing.
        """
        ...

    def quick_check(self) -> list[str]:
        """Problems of the file, its full-text index and its references; empty: none."""
        ...

    def backup(self, target: str) -> None:
        """Write a consistent copy to a new file, durable when it returns, while others go on."""
        ...

    def restore_backup(self, source: str) -> None:
        """Replace everything by what a backup holds, in one transaction, while others go on."""
        ...
