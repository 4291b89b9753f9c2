"""Kept values: whatever is committed in between, no answer is older than its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.service import StoreSettings
from khive_supervisor.freshness import BINDINGS, POSTERIORS, PROFILES, Fresh, Versions
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import ChangeCounts, NewEntry
from khive_supervisor.verbs.context import Context, SessionInfo

STEPS = ("token", "counts", "rows")


@dataclass
class FakeStore:
    """A store of one number for each kind, in which commits happen just after chosen steps."""

    rows: dict[str, int] = field(default_factory=lambda: {"mine": 0, "other": 0})
    version: int = 0
    past: bytes = b"first"
    frozen: bool = False
    steps: list[str] = field(default_factory=list)
    after: Callable[[str], None] = lambda step: None

    def commit(self, kind: str) -> None:
        self.rows[kind] += 1
        self.version += 1

    def restore(self) -> None:
        """A backup with the same counters takes the store's place."""
        self.past += b"'"
        self.version += 1

    def change_token(self) -> tuple[int, int] | None:
        found = None if self.frozen else (self.version, 0)
        self._done("token")
        return found

    def change_counts(self) -> ChangeCounts:
        found = ChangeCounts(self.past, dict(self.rows))
        self._done("counts")
        return found

    def load(self) -> tuple[bytes, int]:
        found = (self.past, self.rows["mine"])
        self._done("rows")
        return found

    def truth(self) -> tuple[bytes, int]:
        return self.past, self.rows["mine"]

    def _done(self, step: str) -> None:
        self.steps.append(step)
        self.after(step)


@pytest.fixture
def fake() -> FakeStore:
    return FakeStore()


def fresh(fake: FakeStore) -> Fresh[tuple[bytes, int]]:
    return Fresh(Versions(fake), ("mine",), fake.load)


def test_token_counters_rows_in_this_order_and_then_only_the_token(fake: FakeStore) -> None:
    value = fresh(fake)
    value.get()
    assert fake.steps == ["token", "counts", "rows"]
    value.get()
    assert fake.steps == ["token", "counts", "rows", "token"]


@pytest.mark.parametrize("moment", STEPS)
@pytest.mark.parametrize("primed", [False, True])
def test_a_commit_between_any_two_steps_is_seen_by_the_next_use(
    fake: FakeStore, moment: str, primed: bool
) -> None:
    value = fresh(fake)
    if primed:
        value.get()
        fake.commit("mine")

    def commit_once(step: str) -> None:
        if step == moment:
            fake.after = lambda step: None
            fake.commit("mine")

    fake.after = commit_once
    value.get()
    assert value.get() == fake.truth()


def test_a_commit_of_something_else_costs_one_look_at_the_counters(fake: FakeStore) -> None:
    versions = Versions(fake)
    values = [Fresh(versions, ("mine",), fake.load) for _ in range(3)]
    assert [value.get() for value in values] == [(b"first", 0)] * 3
    fake.steps.clear()
    fake.commit("other")
    assert [value.get() for value in values] == [(b"first", 0)] * 3
    assert sorted(fake.steps) == ["counts", "token", "token", "token"]
    assert (versions.stats.checks, versions.stats.moved, versions.stats.reloads) == (6, 2, 3)


def test_a_restored_backup_is_another_past_whatever_its_counters_say(fake: FakeStore) -> None:
    value = fresh(fake)
    value.get()
    fake.restore()
    assert value.get() == (b"first'", 0)


def test_what_is_invalidated_is_loaded_again(fake: FakeStore) -> None:
    value = fresh(fake)
    value.get()
    fake.rows["mine"] = 7  # nobody has said so
    assert value.get() == (b"first", 0)
    value.invalidate()
    assert value.get() == (b"first", 7)


def test_inside_a_transaction_nothing_is_kept_and_nothing_kept_is_used(fake: FakeStore) -> None:
    value = fresh(fake)
    value.get()
    fake.frozen = True
    fake.rows["mine"] = 5  # not committed: no number tells
    assert value.get() == (b"first", 5)
    fake.frozen = False
    fake.rows["mine"] = 0  # rolled back
    assert value.get() == (b"first", 0)


def test_refreshing_reaches_the_loaded_values_of_a_kind_only(fake: FakeStore) -> None:
    versions = Versions(fake)
    mine, unused = (Fresh(versions, ("mine",), fake.load) for _ in range(2))
    other = Fresh(versions, ("other",), lambda: fake.rows["other"])
    mine.get()
    other.get()
    fake.commit("mine")
    fake.steps.clear()
    versions.refresh(["mine"])
    assert fake.steps == ["token", "counts", "rows"]
    assert not unused.loaded
    assert mine.get() == (b"first", 1)


def test_a_load_that_fails_leaves_nothing_behind(fake: FakeStore) -> None:
    outcomes: Iterator[Exception | int] = iter([OSError("away"), 3])

    def load() -> int:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    value = Fresh(Versions(fake), ("mine",), load)
    with pytest.raises(OSError, match="away"):
        value.get()
    assert value.get() == 3


HAPPENINGS = st.sampled_from(["", "", "mine", "other", "restore"])


@given(st.lists(st.tuples(HAPPENINGS, st.tuples(*[HAPPENINGS] * 6)), max_size=12))
def test_no_interleaving_serves_what_was_not_true_any_more(
    script: list[tuple[str, tuple[str, ...]]],
) -> None:
    """Each use may see any state since it began, but none from before."""
    fake = FakeStore()
    versions = Versions(fake)
    values = [Fresh(versions, ("mine",), fake.load) for _ in range(2)]

    def happen(what: str) -> None:
        if what == "restore":
            fake.restore()
        elif what:
            fake.commit(what)

    for number, (before, during) in enumerate(script):
        happen(before)
        true_since = [fake.truth()]
        pending = iter(during)

        def after(
            _step: str, pending: Iterator[str] = pending, true: list[object] = true_since
        ) -> None:
            happen(next(pending, ""))
            true.append(fake.truth())

        fake.after = after
        assert values[number % 2].get() in true_since
    fake.after = lambda step: None
    assert [value.get() for value in values] == [fake.truth()] * 2


# --- on the real store ----------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


@pytest.fixture
def other(store: SqliteStore) -> Iterator[SqliteStore]:
    with SqliteStore(store.path) as opened:
        yield opened


def alpha(store: SqliteStore) -> float:
    found: float = store.database.value("SELECT alpha FROM posteriors WHERE weight = 'relevance'")
    return found


def learn(store: SqliteStore) -> None:
    with store.transaction():
        store.database.rows("UPDATE posteriors SET alpha = alpha + 1 WHERE weight = 'relevance'")


def test_a_commit_of_this_and_of_another_connection_is_seen(
    store: SqliteStore, other: SqliteStore
) -> None:
    value = Fresh(Versions(store), (POSTERIORS,), lambda: alpha(store))
    assert value.get() == 7
    learn(store)
    assert value.get() == 8
    learn(other)
    assert value.get() == 9


def test_an_entry_moves_no_counter(store: SqliteStore, other: SqliteStore) -> None:
    versions = Versions(store)
    value = Fresh(versions, (PROFILES, POSTERIORS, BINDINGS), lambda: alpha(store))
    value.get()
    for writer in (store, other):
        writer.entries.add([NewEntry("memory", "n", "k", "t", f"by {id(writer)}")])
        value.get()
    assert (versions.stats.moved, versions.stats.reloads) == (3, 1)


def test_uncommitted_rows_are_seen_inside_and_gone_after_a_rollback(store: SqliteStore) -> None:
    value = Fresh(Versions(store), (POSTERIORS,), lambda: alpha(store))
    value.get()

    def fail() -> None:
        with store.transaction():
            learn(store)
            assert value.get() == 8
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert value.get() == 7


def test_a_backup_that_is_restored_is_read(
    store: SqliteStore, other: SqliteStore, tmp_path: Path
) -> None:
    value = Fresh(Versions(store), (POSTERIORS,), lambda: alpha(store))
    backup = str(tmp_path / "backup.db")
    learn(store)
    store.backup(backup)
    learn(store)
    assert value.get() == 9
    other.restore_backup(backup)
    learn(other)  # the counter is again where it was
    assert value.get() == 9
    other.restore_backup(backup)
    assert value.get() == 8


def test_the_counters_know_their_kinds_and_their_past(store: SqliteStore) -> None:
    before = store.change_counts()
    assert {"generations", "profiles", "posteriors", "bindings"} <= before.counts.keys()
    learn(store)
    after = store.change_counts()
    assert after.changed_since(before) == {"posteriors"}
    assert before.changed_since(before) == frozenset()
    elsewhere = ChangeCounts(b"another", before.counts)
    assert elsewhere.changed_since(before) == before.counts.keys()


# --- in a session ---------------------------------------------------------------------------------


def test_a_session_refreshes_what_it_has_and_opens_nothing_for_it(tmp_path: Path) -> None:
    settings = replace(StoreSettings(), path=str(tmp_path / "khive.db"))
    config = replace(Config(), store=settings)
    context = Context(config, SessionInfo(), socket_path=None, make_embedder=lambda: None)
    context.refresh([POSTERIORS])
    assert not context.opened
    value = Fresh(context.versions, (POSTERIORS,), lambda: alpha(context.store))  # type: ignore[arg-type]  # ours
    assert context.opened
    assert value.get() == 7
    with SqliteStore(settings.path) as other:
        learn(other)
    before = context.versions.stats.reloads
    context.refresh([BINDINGS])
    assert context.versions.stats.reloads == before
    context.refresh([POSTERIORS])
    assert context.versions.stats.reloads == before + 1
    context.close()
    assert not context.opened
