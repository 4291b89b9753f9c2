"""The contract of what a store keeps of channels, for every engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engines import ENGINES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.channels.deliveries import DEAD, SENT, NewDelivery
from khive_supervisor.store.interface import Store

MESSAGE = '{"at": 1.0, "title": "t", "lines": [], "data": {}}'
Move = Callable[[float], None]


def new(key: str, subject: str = "task/t1", wait: float = 0.0, *, gather: bool = False,
        message: str = MESSAGE) -> NewDelivery:  # fmt: skip
    return NewDelivery(key, "task.done", subject, message, 1.0, wait, gather)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=sorted(ENGINES))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Store, Clock]]:
    clock = Clock()
    with ENGINES[request.param](str(tmp_path / "s.db"), clock=clock) as store:
        store.audit.record("test.done", "x", {})
        store.deliveries.keep_only(["a", "b"])
        yield store, clock


def test_a_channel_begins_at_the_end_of_the_chain_and_one_that_comes_back_does_too(
    opened: tuple[Store, Clock],
) -> None:
    store, _ = opened
    assert [(one.name, one.places[""]) for one in store.deliveries.subscriptions()] == [
        ("a", 1),
        ("b", 1),
    ]
    store.deliveries.feed("a", 1, [new("k")])
    store.deliveries.keep_only(["b"])
    store.audit.record("test.done", "x", {})
    store.deliveries.keep_only(["a", "b"])
    assert [one.places[""] for one in store.deliveries.subscriptions()] == [2, 1]
    assert store.deliveries.following("a") is None


def test_what_is_fed_again_is_there_once(opened: tuple[Store, Clock]) -> None:
    store, _ = opened
    for _attempt in range(2):
        store.deliveries.feed("a", 5, [new("k1"), new("k2")])
    store.deliveries.feed("a", 3, [])
    store.deliveries.feed("gone", 9, [new("k1")])
    assert [one.key for one in store.deliveries.page("a")] == ["k2", "k1"]
    assert store.deliveries.subscriptions()[0].places == {"": 5}


def test_an_attempt_that_failed_is_due_later_and_another_subject_goes_first(
    opened: tuple[Store, Clock],
) -> None:
    store, clock = opened
    deliveries = store.deliveries
    deliveries.feed("a", 2, [new("k1", "s1"), new("k2", "s1"), new("k3", "s2")])
    first = deliveries.following("a")
    assert first is not None
    deliveries.again(first.id, 60.0, "down")
    second = deliveries.following("a")
    assert second is not None
    assert (first.key, second.key) == ("k1", "k3")
    deliveries.end(second.id, SENT)
    assert deliveries.following("a") is None
    assert deliveries.due_in("a") == 0.0  # k2 is, but for the one before it
    clock.now += 61
    again = deliveries.following("a")
    assert again is not None
    assert (again.key, again.attempts, again.error) == ("k1", 1, "down")


def test_a_clock_that_is_set_back_holds_nothing_up(opened: tuple[Store, Clock]) -> None:
    store, clock = opened
    store.deliveries.feed("a", 2, [new("k1", wait=60.0)])
    assert store.deliveries.following("a") is None
    clock.now -= 86400
    assert store.deliveries.following("a") is not None


def test_a_message_of_several_things_comes_after_all_before_and_before_all_after(
    opened: tuple[Store, Clock],
) -> None:
    store, clock = opened
    deliveries = store.deliveries
    deliveries.feed("a", 2, [new("g1", gather=True), new("g2", "s2", gather=True), new("k1", "s3")])
    found = deliveries.gathered("a")
    assert [one.key for one in found] == ["g1", "g2"]
    deliveries.join("a", [one.id for one in found], new("g1+2", ""))
    deliveries.feed("a", 3, [new("k2", "s2")])
    keys = []
    while (one := deliveries.following("a")) is not None:
        keys.append(one.key)
        deliveries.end(one.id, SENT)
    assert keys == ["k1", "g1+2", "k2"]
    assert deliveries.counts() == {("a", "sent"): 3, ("a", "joined"): 2}
    clock.now += 10
    assert deliveries.forget(clock.now - 5, 10) == 5


def test_gathered_messages_wait_for_the_first_and_can_be_put_off(
    opened: tuple[Store, Clock],
) -> None:
    store, clock = opened
    store.deliveries.feed("a", 2, [new("g1", wait=60, gather=True)])
    clock.now += 50
    store.deliveries.feed("a", 3, [new("g2", wait=60, gather=True)])
    assert store.deliveries.gathered("a") == []
    clock.now += 11
    ids = [one.id for one in store.deliveries.gathered("a")]
    assert len(ids) == 2
    store.deliveries.postpone(ids, 100.0)
    assert store.deliveries.gathered("a") == []
    assert store.deliveries.due_in("a") == 100.0


def test_a_signal_is_told_once_for_each_change(opened: tuple[Store, Clock]) -> None:
    store, _ = opened
    signal = store.deliveries.signal
    assert signal("disk", "low", {"a": new("d1", "disk")})
    assert not signal("disk", "low", {"a": new("d2", "disk")})
    assert signal("disk", "well", {})
    assert signal("disk", "low", {"a": new("d3", "disk")})
    assert [one.key for one in store.deliveries.page("a")] == ["d3", "d1"]


def test_what_was_given_up_can_be_sent_again(opened: tuple[Store, Clock]) -> None:
    store, _ = opened
    store.deliveries.feed("a", 2, [new("k1"), new("k2", "s2")])
    for one in store.deliveries.page("a"):
        store.deliveries.end(one.id, DEAD, "404")
    assert [one.error for one in store.deliveries.page("a", DEAD)] == ["404", "404"]
    assert store.deliveries.retry("a") == 2
    found = store.deliveries.following("a")
    assert found is not None
    assert (found.key, found.attempts) == ("k1", 0)


def test_secrets_in_messages_and_errors_are_masked(opened: tuple[Store, Clock]) -> None:
    store, _ = opened
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    store.deliveries.feed("a", 2, [new("k1", message=f'{{"title": "{secret}"}}')])
    (one,) = store.deliveries.page("a")
    store.deliveries.again(one.id, 1.0, f"refused {secret}")
    store.deliveries.trouble("a", f"refused {secret}")
    (one,) = store.deliveries.page("a")
    problem = store.deliveries.subscriptions()[0].problem
    assert secret not in one.message + one.error + problem
    assert problem


class Machine(RuleBasedStateMachine):
    """Whatever is fed, fails and is sent: each key once, and each subject in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.directory = tempfile.TemporaryDirectory(prefix="k")
        self.store = SqliteStore(f"{self.directory.name}/s.db", clock=self.clock)
        self.store.deliveries.keep_only(["a"])
        self.fed: list[tuple[str, str]] = []
        self.sent: list[tuple[str, str]] = []

    @rule(subject=st.sampled_from(["s1", "s2", "s3"]))
    def feed(self, subject: str) -> None:
        key = f"k{len(self.fed)}"
        self.fed.append((key, subject))
        self.store.deliveries.feed("a", 1, [new(key, subject)])

    @rule(fails=st.booleans(), later=st.floats(0, 30))
    def attempt(self, fails: bool, later: float) -> None:
        found = self.store.deliveries.following("a")
        if found is None:
            return
        if fails:
            self.store.deliveries.again(found.id, later, "no")
        else:
            self.store.deliveries.end(found.id, SENT)
            self.sent.append((found.key, found.subject))

    @rule(seconds=st.floats(-20, 40))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def each_subject_is_in_its_order(self) -> None:
        for subject in ("s1", "s2", "s3"):
            fed = [key for key, of in self.fed if of == subject]
            sent = [key for key, of in self.sent if of == subject]
            assert sent == fed[: len(sent)]

    def teardown(self) -> None:
        self.clock.now += 1e6
        while (found := self.store.deliveries.following("a")) is not None:
            self.store.deliveries.end(found.id, SENT)
            self.sent.append((found.key, found.subject))
        assert sorted(self.sent) == sorted(self.fed)
        self.store.close()
        self.directory.cleanup()


TestDeliveries = Machine.TestCase
TestDeliveries.settings = settings(max_examples=20, stateful_step_count=30)
