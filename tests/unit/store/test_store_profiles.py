"""Profiles in the store: what is recorded counts once, and can be computed again exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from hypothesis import given
from hypothesis import strategies as st
from support import Clock

from khive_supervisor.errors import Denied, InvalidInput, KhiveError, NotFound, StoreError
from khive_supervisor.profiles.model import (
    AUTO_FEEDBACK,
    DEFAULT,
    FEEDBACK,
    Binding,
    BindingFilter,
    NewEvent,
    Weights,
)
from khive_supervisor.profiles.posterior import UNKNOWN, Beta
from khive_supervisor.profiles.replay import Replay, verify
from khive_supervisor.profiles.signals import SIGNALS
from khive_supervisor.profiles.snapshot import load_snapshot
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry

START = 1_800_000_000.0
WEEK = 7 * 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=clock) as opened:
        opened.entries.add(
            [NewEntry("memory", "n", "k", "", f"content {number}") for number in range(4)]
        )
        yield opened


def said(signal: str | None = "useful", entry_id: int | None = 1, **more: Any) -> NewEvent:
    return NewEvent(**{"profile": DEFAULT, "kind": FEEDBACK, "session": "s", **more}, signal=signal,
                    entry_id=entry_id)  # fmt: skip


def weights(store: Store, name: str = DEFAULT) -> Weights:
    found = store.profiles.find(name)
    assert found is not None
    return found.weights


# --- profiles -------------------------------------------------------------------------------------


def test_there_is_a_profile_from_the_start_and_its_events_make_it(store: Store) -> None:
    (found,) = store.profiles.all()
    assert (found.name, found.id, found.builtin, found.active) == (DEFAULT, 1, True, True)
    assert [round(beta.mean, 10) for _, beta in found.weights.items()] == [0.7, 0.2, 0.1]
    assert found.weights == found.priors == Weights()
    assert verify(store.profiles, DEFAULT) == []


def test_a_profile_is_made_once_with_its_seeds(store: Store) -> None:
    priors = Weights(salience=Beta(0.1, 1 / 3))
    made = store.profiles.create(" team-1 ", "For the team.", "search", priors)
    assert made == store.profiles.find("team-1") == store.profiles.all("active")[1]
    assert (made.priors, made.weights, made.created_at) == (priors, priors, START)
    with pytest.raises(InvalidInput, match="a profile team-1 already"):
        store.profiles.create("team-1")
    with pytest.raises(InvalidInput, match="cannot be"):
        store.profiles.create("team 1")
    assert store.profiles.find("Team-1") is None
    assert verify(store.profiles, "team-1") == []


def test_lifecycles_are_events_and_only_real_changes_are(store: Store) -> None:
    store.profiles.create("a")
    for lifecycle in ("active", "inactive", "inactive", "active", "inactive", "archived"):
        assert store.profiles.set_lifecycle("a", lifecycle).lifecycle == lifecycle
    kinds = [event.kind for event in store.profiles.events("a")]
    assert kinds == ["created", *["lifecycle"] * 4]
    assert [one.name for one in store.profiles.all("archived")] == ["a"]
    assert verify(store.profiles, "a") == []
    for refused in (lambda: store.profiles.reset("a"), lambda: store.bindings.bind(Binding("a"))):
        with pytest.raises(Denied, match="archived"):
            refused()
    with pytest.raises(Denied, match="stays active"):
        store.profiles.set_lifecycle(DEFAULT, "inactive")


@pytest.mark.parametrize("call", ["set_lifecycle", "reset", "bind", "record", "state"])
def test_a_profile_that_does_not_exist_is_not_found(store: Store, call: str) -> None:
    calls = {
        "set_lifecycle": lambda: store.profiles.set_lifecycle("no", "inactive"),
        "reset": lambda: store.profiles.reset("no"),
        "bind": lambda: store.bindings.bind(Binding("no")),
        "record": lambda: store.feedback.record(said(profile="no")),
        "state": lambda: store.profiles.state("no"),
    }
    with pytest.raises(NotFound, match="no profile 'no'") as caught:
        calls[call]()
    assert "brain.profiles" in caught.value.hint
    assert store.profiles.events(DEFAULT, 1) == []


# --- feedback -------------------------------------------------------------------------------------


def test_feedback_is_an_event_and_an_addition(store: Store, clock: Clock) -> None:
    done = store.feedback.record(said(actor="ada", namespace="n", detail={"why": "née"}))
    assert (done.weight, done.counted, done.duplicate) == (1.0, 1.0, False)
    store.feedback.record(said("correction", 2))
    assert weights(store) == Weights(relevance=Beta(7, 5), salience=Beta(3, 10))
    assert store.profiles.targets_of(1, [1, 2, 3, 99]) == {1: Beta(2, 1), 2: Beta(1, 3)}
    assert [(entry_id, target.events) for entry_id, target in store.profiles.top_targets(1)] == [
        (1, 1), (2, 1),
    ]  # fmt: skip
    event = store.profiles.events(DEFAULT, done.seq - 1, 1)[0]
    assert (event.seq, event.actor, event.session, event.detail) == (
        done.seq, "ada", "s", {"why": "née"},
    )  # fmt: skip
    assert store.profiles.all()[0].events == 2


def test_a_session_that_repeats_itself_cannot_outvote_the_others(
    store: Store, clock: Clock
) -> None:
    counted = [store.feedback.record(said("wrong")).counted for _ in range(50)]
    assert counted == [1.0] * 2 + [0.0] * 48
    assert [store.feedback.record(said("explicit_positive", session=s)).counted for s in "abc"] == [
        1.5
    ] * 3
    target = store.profiles.targets_of(1, [1])[1]
    assert target == Beta(1 + 4.5, 1 + 2)
    # Half of its room is free again after a week; another target has its own.
    clock.now += WEEK
    assert store.feedback.record(said("correction")).counted == 1.0
    assert store.feedback.record(said("wrong", 2)).counted == 1.0
    assert store.profiles.all()[0].events == 55
    assert verify(store.profiles, DEFAULT) == []


def test_implicit_feedback_of_everybody_counts_as_one_useful(store: Store) -> None:
    for number in range(20):
        store.feedback.record(said("implicit_negative", session=f"s{number}"))
        store.feedback.record(said("recall_hit", kind=AUTO_FEEDBACK, latency_us=10))
    assert store.feedback.record(said("useful")).counted == 1.0
    assert store.profiles.targets_of(1, [1])[1].mean == pytest.approx(UNKNOWN.plus(1.5, 0.5).mean)
    assert verify(store.profiles, DEFAULT) == []


def test_without_a_signal_an_event_is_only_noted(store: Store) -> None:
    before = store.change_counts()
    assert store.feedback.record(said(None, None, kind=AUTO_FEEDBACK)).counted == 0.0
    assert weights(store) == Weights()
    assert store.profiles.all()[0].events == 1
    assert store.change_counts() == before


def test_a_judgement_counts_once_whoever_sends_it(store: Store) -> None:
    store.profiles.create("a")
    first = store.feedback.record(said(scorer_run="r", serve="1"))
    for other in (said(scorer_run="r", serve="1"), said("wrong", 2, scorer_run="r", serve="1",
                                                        profile="a")):  # fmt: skip
        again = store.feedback.record(other)
        assert (again.duplicate, again.seq) == (True, first.seq)
    assert not store.feedback.record(said(scorer_run="r", serve="2")).duplicate
    assert not store.feedback.record(said(scorer_run="q", serve="1")).duplicate
    assert store.profiles.all()[0].events == 3
    with pytest.raises(InvalidInput, match="names no serve"):
        store.feedback.record(said(scorer_run="r"))


def test_what_cannot_be_recorded_changes_nothing(store: Store) -> None:
    store.profiles.create("gone")
    store.profiles.set_lifecycle("gone", "inactive")
    assert store.feedback.record(said(profile="gone")).counted == 1.0
    store.profiles.set_lifecycle("gone", "archived")
    store.entries.forget([3])
    before = store.profiles.event_counts(0.0, group="profile")
    cases: list[tuple[type[KhiveError], str, NewEvent]] = [
        (NotFound, "no entry 99", said("useful", 99)),
        (InvalidInput, "Entry 3 was forgotten", said("useful", 3)),
        (InvalidInput, "no signal", said("lovely")),
        (InvalidInput, "is about an entry", said("useful", None)),
        (InvalidInput, "is about no entry", said("recall_miss", 1)),
        (Denied, "gone is archived", said(profile="gone")),
    ]
    for kind, message, event in cases:
        with pytest.raises(kind, match=message):
            store.feedback.record(event)
        with pytest.raises(kind, match=message):
            store.feedback.record_many([said(), event])
    assert store.profiles.event_counts(0.0, group="profile") == before
    assert weights(store) == Weights()


def test_many_are_recorded_in_one_transaction(store: Store) -> None:
    before = store.change_token()[1]
    done = store.feedback.record_many([said(session=str(number)) for number in range(10)])
    assert store.change_token()[1] == before + 1
    assert [one.seq for one in done] == list(range(done[0].seq, done[0].seq + 10))
    assert weights(store).salience == Beta(12, 8)
    assert store.feedback.record_many([]) == []


def test_a_reset_forgets_what_was_learned_and_keeps_the_events(store: Store) -> None:
    for _ in range(5):
        store.feedback.record(said("correction"))
    found = store.profiles.reset(DEFAULT)
    assert (found.weights, found.epoch, found.events) == (Weights(), 1, 5)
    assert store.profiles.targets_of(1, [1]) == {}
    assert store.feedback.record(said("correction")).counted == 2.0
    assert len(store.profiles.events(DEFAULT)) == 8
    assert verify(store.profiles, DEFAULT) == []


def test_pages_of_events_are_all_of_them(store: Store) -> None:
    store.feedback.record_many([said(session=str(number)) for number in range(30)])
    whole, seq = store.profiles.events(DEFAULT), 0
    pages = []
    while page := store.profiles.events(DEFAULT, seq, 7):
        pages += page
        seq = page[-1].seq
    assert pages == whole
    assert len(whole) == 31


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("kind", {"auto_feedback": 1, "created": 1, "feedback": 3}),
        ("signal", {"none": 2, "useful": 2, "wrong": 1}),
        ("profile", {"a": 2, DEFAULT: 3}),
        ("actor", {"": 1, "ada": 2, "bob": 2}),
        ("day", {"2027-01-15": 3, "2027-01-16": 2}),
    ],
)
def test_events_are_counted_by(
    store: Store, clock: Clock, group: str, expected: dict[str, int]
) -> None:
    store.profiles.create("a")
    store.feedback.record(said("useful", actor="ada"))
    store.feedback.record(said("wrong", actor="bob"))
    clock.now += 86_400
    store.feedback.record(said("useful", actor="bob", profile="a"))
    store.feedback.record(said(None, None, kind=AUTO_FEEDBACK, actor="ada"))
    counts = store.profiles.event_counts(START, None, group)
    # The first profile's own event is of the real clock, when the store was made.
    assert {one.group: one.events for one in counts} == expected
    assert sum(one.counted for one in counts) == 3.0
    taught = store.profiles.event_counts(START, None, group, feedback=True)
    assert sum(one.events for one in taught) == 4, "that a profile was made is no feedback"
    mine = store.profiles.event_counts(START, START + 1, group, "bob")
    assert sum(one.events for one in mine) == 1


def test_events_are_not_counted_by_anything_else(store: Store) -> None:
    with pytest.raises(InvalidInput, match="cannot be counted"):
        store.profiles.event_counts(0, None, "1; DROP TABLE profiles")


# --- bindings -------------------------------------------------------------------------------------


def test_a_binding_replaces_the_one_of_its_key(store: Store) -> None:
    for name in ("a", "b"):
        store.profiles.create(name)
    assert store.bindings.bind(Binding("a", "ada", priority=3)) is None
    before = store.bindings.bind(Binding("b", "ada"))
    assert before is not None
    assert (before.profile, before.priority) == ("a", 3)
    (found,) = store.bindings.all()
    assert (found.profile, found.priority, found.created_at) == ("b", 0, START)
    assert (
        load_snapshot(store.profiles.all, store.bindings.all)
        .resolve("ada", "n", "recall")
        .profile.name
        == "b"
    )
    with pytest.raises(InvalidInput, match="can match both"):
        store.bindings.bind(Binding("a", namespace="n"))
    assert len(store.bindings.all()) == 1


def test_bindings_are_found_and_removed_by_filter(store: Store) -> None:
    for name in ("a", "b"):
        store.profiles.create(name)
    all_of_them = [Binding("a", "ada"), Binding("b", "ada", "n"), Binding("b", "bob")]
    for binding in all_of_them:
        store.bindings.bind(binding)

    def keys(where: BindingFilter) -> list[tuple[str, str, str]]:
        return [one.key for one in store.bindings.all(where)]

    assert keys(BindingFilter(profile="b")) == [("ada", "n", "*"), ("bob", "*", "*")]
    assert keys(BindingFilter(actor="ada", namespace="*")) == [("ada", "*", "*")]
    assert [one.key for one in store.bindings.unbind(BindingFilter("b", "bob"))] == [
        ("bob", "*", "*")
    ]
    assert store.bindings.unbind(BindingFilter("b", "bob")) == []
    assert len(store.bindings.all()) == 2


# --- freshness ------------------------------------------------------------------------------------


def test_counters_say_which_kind_of_thing_has_changed(store: Store) -> None:
    def moved(action: Any) -> set[str]:
        before = store.change_counts()
        action()
        after = store.change_counts()
        assert after.past == before.past == store.past()
        return {kind for kind, count in after.counts.items() if count != before.counts[kind]}

    assert moved(lambda: store.profiles.create("a")) == {"profiles", "posteriors"}
    assert moved(lambda: store.feedback.record(said(profile="a"))) == {"posteriors"}
    assert moved(lambda: store.bindings.bind(Binding("a"))) == {"bindings"}
    assert moved(lambda: store.profiles.set_lifecycle("a", "inactive")) == {"profiles"}
    assert moved(lambda: store.profiles.reset("a")) == {"profiles", "posteriors"}
    assert moved(lambda: store.bindings.unbind(BindingFilter("a"))) == {"bindings"}
    assert moved(lambda: store.entries.add([NewEntry("memory", "n", "k", "", "more")])) == set()


def test_two_handles_never_overwrite_each_other(engine: Engine, store: Store) -> None:
    with engine(store.path) as other:
        for number in range(20):
            store.feedback.record(said(session=f"a{number}"))
            other.feedback.record(said(session=f"b{number}"))
    assert weights(store).salience == Beta(42, 8)
    assert verify(store.profiles, DEFAULT) == []


# --- replay ---------------------------------------------------------------------------------------

STEP = st.one_of(
    st.tuples(
        st.just("record"),
        st.sampled_from([None, *SIGNALS]),
        st.integers(1, 4),
        st.sampled_from(["s", "t", ""]),
        st.sampled_from([None, 10, 10**6]),
    ),
    st.tuples(st.just("clock"), st.floats(-3 * WEEK, 3 * WEEK)),
    st.tuples(st.just("reset")),
    st.tuples(st.just("lifecycle"), st.sampled_from(["active", "inactive"])),
)
SEED = st.floats(0, 1000, exclude_min=True)
PRIORS = st.builds(Weights, *(st.builds(Beta, SEED, SEED) for _ in range(3)))


@pytest.fixture(scope="module")
def shared(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Store, Clock]]:
    clock = Clock(START)
    path = str(tmp_path_factory.mktemp("replay") / "khive.db")
    with engine(path, clock=clock) as store:
        if isinstance(store, SqliteStore):
            store.database.rows("PRAGMA synchronous = OFF")
        store.entries.add(
            [NewEntry("memory", "n", "k", "", f"content {number}") for number in range(4)]
        )
        yield store, clock


@given(PRIORS, st.lists(STEP, max_size=40))
def test_any_history_is_computed_again_to_the_last_bit(
    shared: tuple[Store, Clock], priors: Weights, steps: list[Any]
) -> None:
    store, clock = shared
    name = f"p-{len(store.profiles.all())}"
    store.profiles.create(name, priors=priors)
    for step in steps:
        match step:
            case ("record", signal, entry_id, session, latency):
                about = signal is not None and SIGNALS[signal].target
                store.feedback.record(
                    NewEvent(name, FEEDBACK, signal, entry_id if about else None,
                             session=session, latency_us=latency)
                )  # fmt: skip
            case ("clock", seconds):
                clock.now += seconds
            case ("reset",):
                store.profiles.reset(name)
            case ("lifecycle", lifecycle):
                store.profiles.set_lifecycle(name, lifecycle)
    stored, last = store.profiles.state(name)
    events = store.profiles.events(name)
    assert events[-1].seq == last
    run = Replay()
    for event in events:
        run.take(event)
    assert run.state == stored
    assert verify(store.profiles, name) == []


def test_events_after_the_look_at_the_tables_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.feedback.record(said())
    seen = store.profiles.state(DEFAULT)
    store.feedback.record(said("wrong"))
    monkeypatch.setattr(store.profiles, "state", lambda name: seen)
    assert verify(store.profiles, DEFAULT) == []


def test_a_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.feedback.record(said())
