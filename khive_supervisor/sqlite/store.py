"""The store on SQLite: one file, its log, and the tables of this package put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Self

import apsw

from khive_supervisor.audit import actors
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
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.backup import copy_to, restore_from
from khive_supervisor.sqlite.engine.connection import connect, wait_for_locks
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.engine.integrity import problems
from khive_supervisor.sqlite.engine.write_queue import WriteQueue
from khive_supervisor.sqlite.entries import statistics
from khive_supervisor.sqlite.entries.change_counts import ChangeTable
from khive_supervisor.sqlite.entries.fulltext import FullTextIndex
from khive_supervisor.sqlite.entries.generations import GenerationTable
from khive_supervisor.sqlite.entries.postings import WordTable
from khive_supervisor.sqlite.entries.sources import SourceTable
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.entries.vectors import VectorTable
from khive_supervisor.sqlite.profiles.bindings import BindingTable
from khive_supervisor.sqlite.profiles.feedback import FeedbackTable
from khive_supervisor.sqlite.profiles.table import ProfileTable
from khive_supervisor.sqlite.schema import guards
from khive_supervisor.sqlite.tasks.table import TaskTable
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

#: Seconds that a write waits for another one, unless the configuration says otherwise.
BUSY_TIMEOUT = 10.0


class SqliteStore:
    """`interface.Store` on one SQLite file; its docstrings hold.

    Further tables of other parts take `database` and share its transactions.
    """

    def __init__(
        self,
        path: str,
        *,
        busy_timeout: float = BUSY_TIMEOUT,
        allow_network: bool = False,
        guarded: bool = True,
        owner: bool = False,
        clock: Callable[[], float] = time.time,
        audited: bool = True,
        actor: Callable[[], str] = actors.user,
        filesystem_of: Callable[[str], str | None] = guards.filesystem_type,
        library_version: Callable[[], str] = apsw.sqlite_lib_version,
    ) -> None:
        self._path = os.path.realpath(path)
        turn = WriteQueue(self._path)

        def open_it(*, guarded: bool) -> apsw.Connection:
            connection = connect(
                self._path,
                busy_timeout=busy_timeout,
                allow_network=allow_network,
                guarded=guarded,
                owner=owner,
                filesystem_of=filesystem_of,
                library_version=library_version,
            )
            wait_for_locks(connection, busy_timeout, turn.wait)
            return connection

        connection = open_it(guarded=guarded)
        # One that follows another into its place was made by somebody else: it is never made anew.
        self.database = Database(connection, self._path, turn, lambda: open_it(guarded=False))
        self._vectors = VectorTable(self.database)
        self._entries = EntryTable(self.database, self._vectors, clock)
        self._sources = SourceTable(self.database, self._entries, self._vectors, clock)
        self._full_text = FullTextIndex(self.database)
        self._words = WordTable(self.database)
        self._generations = GenerationTable(self.database)
        self._audit = audit = AuditTable(self.database, clock, actor, enabled=audited)
        self._profiles = ProfileTable(self.database, clock, audit)
        self._bindings = BindingTable(self.database, clock, audit)
        self._feedback = FeedbackTable(self.database, clock, audit)
        self._tasks = TaskTable(self.database, clock, audit)
        self._changes = ChangeTable(self.database)

    # --- entries --------------------------------------------------------------------------------

    def add(
        self,
        entries: Sequence[NewEntry],
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> list[Added]:
        """See `EntryStore.add`."""
        return self._entries.add(entries, vectors, model_id)

    def annotate(
        self,
        entry_id: int,
        tags: Sequence[str],
        kind: str | None = None,
        salience: float | None = None,
    ) -> bool:
        """See `EntryStore.annotate`."""
        with self.database.write():
            return self._entries.annotate(entry_id, tags, kind, salience)

    def known(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        """See `EntryStore.known`."""
        return self._entries.known(hashes)

    def get(self, ids: Sequence[int]) -> list[Entry]:
        """See `EntryStore.get`."""
        return self._entries.get(ids)

    def highest_id(self) -> int:
        """See `EntryStore.highest_id`."""
        return self._entries.highest_id()

    def forget(self, ids: Sequence[int]) -> list[int]:
        """See `EntryStore.forget`."""
        return self._entries.forget(ids)

    def restore(self, ids: Sequence[int]) -> list[int]:
        """See `EntryStore.restore`."""
        return self._entries.restore(ids)

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        """See `EntryStore.supersede`."""
        return self._entries.supersede(old_id, new, vector, model_id)

    def recent(self, where: EntryFilter = EVERYTHING, limit: int = 50) -> list[Entry]:
        """See `EntryStore.recent`."""
        return self._entries.recent(where, limit)

    def page(
        self, after_id: int = 0, limit: int = 500, where: EntryFilter | None = None
    ) -> list[Entry]:
        """See `EntryStore.page`."""
        return self._entries.page(after_id, limit, where)

    # --- sources --------------------------------------------------------------------------------

    def say(
        self,
        text: SourceText,
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> LearnedText:
        """See `SourceStore.say`."""
        return self._sources.say(text, vectors, model_id)

    def begin_run(self) -> int:
        """See `SourceStore.begin_run`."""
        return self._sources.begin_run()

    def last_run(self) -> int:
        """See `SourceStore.last_run`."""
        return self._sources.last_run()

    def end_sources(self, namespace: str, names: Iterable[str]) -> tuple[int, ...]:
        """See `SourceStore.end_sources`."""
        return self._sources.end(namespace, names)

    def sources_below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        """See `SourceStore.sources_below`."""
        return self._sources.below(namespace, folder, after, limit)

    def sources_named(self, namespace: str, names: Sequence[str]) -> list[KnownSource]:
        """See `SourceStore.sources_named`."""
        return self._sources.named(namespace, names)

    def sources_with(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        """See `SourceStore.sources_with`."""
        return self._sources.with_digests(namespace, digests)

    def sources_of(self, entry: int) -> list[tuple[str, str, float | None]]:
        """See `SourceStore.sources_of`."""
        return self._sources.of(entry)

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        """See `SourceStore.embedded`."""
        return self._sources.embedded(hashes, model_id)

    # --- full text and filters ------------------------------------------------------------------

    def match(
        self,
        expression: str,
        limit: int,
        where: EntryFilter = EVERYTHING,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        *,
        above: int = 0,
    ) -> list[tuple[int, float]]:
        """See `FullText.match`."""
        return self._full_text.match(expression, limit, where, weights, above=above)

    def document_frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """See `FullText.document_frequencies`."""
        return self._full_text.document_frequencies(terms)

    def tokens(self, terms: Iterable[str]) -> dict[str, list[str]]:
        """See `FullText.tokens`."""
        return self._full_text.tokens(terms)

    def tidy(self, *, begin: bool) -> bool:
        """See `FullText.tidy`."""
        return self._full_text.tidy(begin=begin)

    def live_count(self, where: EntryFilter = EVERYTHING) -> int:
        """See `FullText.live_count`."""
        return self._full_text.live_count(where)

    def live_ids(self, where: EntryFilter, limit: int) -> list[int] | None:
        """See `FullText.live_ids`."""
        return self._full_text.live_ids(where, limit)

    def filter_ids(self, ids: Iterable[int], where: EntryFilter = EVERYTHING) -> set[int]:
        """See `FullText.filter_ids`."""
        return self._full_text.filter_ids(ids, where)

    # --- vectors --------------------------------------------------------------------------------

    def put_vectors(self, model_id: str, vectors: Sequence[tuple[int, bytes]]) -> int:
        """See `VectorStore.put_vectors`."""
        return self._vectors.put(model_id, vectors)

    def vectors_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """See `VectorStore.vectors_after`."""
        return self._vectors.after(model_id, seq, limit)

    def newest_vectors(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """See `VectorStore.newest_vectors`."""
        return self._vectors.newest(model_id, seq, limit)

    def live_vectors_after(self, model_id: str, seq: int, limit: int) -> list[VectorRow]:
        """See `VectorStore.live_vectors_after`."""
        return self._vectors.live_after(model_id, seq, limit)

    def vectors_of(self, model_id: str, ids: Iterable[int]) -> list[VectorRow]:
        """See `VectorStore.vectors_of`."""
        return self._vectors.of(model_id, ids)

    def missing_vectors(self, model_id: str, limit: int, after_id: int = 0) -> list[MissingVector]:
        """See `VectorStore.missing_vectors`."""
        return self._vectors.missing(model_id, limit, after_id)

    def drop_vectors_except(self, model_id: str, limit: int = 2000) -> int:
        """See `VectorStore.drop_vectors_except`."""
        return self._vectors.drop_except(model_id, limit)

    def vector_stats(self, model_id: str) -> VectorStats:
        """See `VectorStore.vector_stats`."""
        return self._vectors.stats(model_id)

    def last_seq(self, model_id: str) -> int:
        """See `VectorStore.last_seq`."""
        return self._vectors.last_seq(model_id)

    # --- generations ----------------------------------------------------------------------------

    def current_generation(self, model_id: str) -> Generation | None:
        """See `GenerationStore.current_generation`."""
        return self._generations.current(model_id)

    def generations(self) -> list[Generation]:
        """See `GenerationStore.generations`."""
        return self._generations.all()

    def next_generation(self) -> int:
        """See `GenerationStore.next_generation`."""
        return self._generations.next_number()

    def publish_generation(self, generation: Generation) -> None:
        """See `GenerationStore.publish_generation`."""
        self._generations.publish(generation)

    def retire_generations_except(self, model_id: str) -> int:
        """See `GenerationStore.retire_generations_except`."""
        return self._generations.retire_except(model_id)

    def remove_generation(self, generation: int) -> bool:
        """See `GenerationStore.remove_generation`."""
        return self._generations.remove(generation)

    # --- profiles -------------------------------------------------------------------------------

    def create_profile(
        self,
        name: str,
        description: str = "",
        consumer_kind: str = "recall",
        priors: Weights | None = None,
    ) -> Profile:
        """See `ProfileStore.create_profile`."""
        return self._profiles.create(name, description, consumer_kind, priors or Weights())

    def profile(self, name: str) -> Profile | None:
        """See `ProfileStore.profile`."""
        return self._profiles.find(name)

    def profiles(self, lifecycle: str | None = None) -> list[Profile]:
        """See `ProfileStore.profiles`."""
        return self._profiles.all(lifecycle)

    def set_lifecycle(self, name: str, lifecycle: str) -> Profile:
        """See `ProfileStore.set_lifecycle`."""
        return self._profiles.set_lifecycle(name, lifecycle)

    def reset_profile(self, name: str) -> Profile:
        """See `ProfileStore.reset_profile`."""
        return self._profiles.reset(name)

    def bind(self, binding: Binding) -> Binding | None:
        """See `ProfileStore.bind`."""
        return self._bindings.bind(binding)

    def unbind(self, where: BindingFilter) -> list[Binding]:
        """See `ProfileStore.unbind`."""
        return self._bindings.unbind(where)

    def bindings(self, where: BindingFilter = ALL_BINDINGS) -> list[Binding]:
        """See `ProfileStore.bindings`."""
        return self._bindings.all(where)

    def record(self, event: NewEvent) -> Recorded:
        """See `ProfileStore.record`."""
        return self._feedback.record([event])[0]

    def record_many(self, events: Sequence[NewEvent]) -> list[Recorded]:
        """See `ProfileStore.record_many`."""
        return self._feedback.record(events)

    def profile_events(self, name: str, after_seq: int = 0, limit: int = 500) -> list[ProfileEvent]:
        """See `ProfileStore.profile_events`."""
        return self._profiles.events(name, after_seq, limit)

    def event_counts(
        self,
        since: float,
        until: float | None = None,
        group: str = "kind",
        actor: str | None = None,
    ) -> list[EventCount]:
        """See `ProfileStore.event_counts`."""
        return self._profiles.event_counts(since, until, group, actor)

    def targets_of(self, profile_id: int, entry_ids: Sequence[int]) -> dict[int, Beta]:
        """See `ProfileStore.targets_of`."""
        return self._profiles.targets_of(profile_id, entry_ids)

    def top_targets(self, profile_id: int, limit: int = 10) -> list[tuple[int, Target]]:
        """See `ProfileStore.top_targets`."""
        return self._profiles.top_targets(profile_id, limit)

    def profile_state(self, name: str) -> tuple[ProfileState, int]:
        """See `ProfileStore.profile_state`."""
        return self._profiles.state(name)

    # --- the whole ------------------------------------------------------------------------------

    @property
    def tasks(self) -> TaskTable:
        """See `Store.tasks`."""
        return self._tasks

    @property
    def words(self) -> WordTable:
        """See `Store.words`."""
        return self._words

    @property
    def audit(self) -> AuditTable:
        """See `Store.audit`."""
        return self._audit

    @property
    def path(self) -> str:
        """See `Store.path`."""
        return self._path

    def close(self) -> None:
        """See `Store.close`."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def data_version(self) -> int:
        """See `Store.data_version`."""
        return self.database.data_version()

    def change_token(self) -> tuple[int, int] | None:
        """See `Store.change_token`."""
        return self.database.change_token()

    def change_counts(self) -> ChangeCounts:
        """See `Store.change_counts`."""
        return self._changes.counts()

    def transaction(self) -> AbstractContextManager[None]:
        """See `Store.transaction`."""
        return self.database.write()

    def stats(self) -> StoreStats:
        """See `Store.stats`."""
        return statistics.stats(self.database, self._path)

    def namespaces(self, collection: str | None = None) -> Mapping[str, int]:
        """See `Store.namespaces`."""
        return statistics.namespaces(self.database, collection)

    def checkpoint(self, truncate: bool = False) -> Checkpoint:
        """See `Store.checkpoint`."""
        mode = "TRUNCATE" if truncate else "PASSIVE"
        busy, pages, moved = self.database.rows(f"PRAGMA wal_checkpoint({mode})")[0]
        return Checkpoint(max(pages, 0), max(moved, 0), complete=not busy and pages == moved)

    def quick_check(self) -> list[str]:
        """See `Store.quick_check`."""
        return problems(self.database)

    def past(self) -> bytes:
        """See `Store.past`."""
        return bytes(self.database.value("SELECT name FROM past"))

    def restore_backup(self, source: str) -> None:
        """See `Store.restore_backup`."""
        restore_from(self.database, source, self._audit.after_restore)

    def backup(self, target: str) -> None:
        """See `Store.backup`."""
        copy_to(self.database, target)
