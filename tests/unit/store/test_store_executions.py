"""Attempts that have ended: each is kept once, as an entry that is found and linked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from secret_texts import SECRET
from support import Clock

from khive_supervisor.history.model import ExecutionFilter
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.interface import Store
from khive_supervisor.store.links import CAUSED_BY, FOLLOWS, PRODUCED, RETRY_OF
from khive_supervisor.store.model import EntryFilter, How, NewEntry, Provenance, SaidBy
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DIED,
    DONE,
    FAILED,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    Usage,
)
from khive_supervisor.tasks.records import DAY

NOW = Moment("boot", 1000.0)
HERE = ProjectIdentity("here", "folder:/here", "folder:/here")
WELL = Outcome(DONE)
ME = Claimant("r", "w1", 3, "digest")


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0 * DAY)


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=clock) as opened:
        yield opened


def begun(store: Store, now: Moment = NOW, **task: Any) -> Claim:
    given = {"role": "r", "task_type": "t", "payload": "fix the port", "namespace": "ns", **task}
    store.tasks.assign(NewTask(**given))
    return taken(store, now)


def taken(store: Store, now: Moment = NOW) -> Claim:
    claim = store.tasks.claim(ME, now)
    assert claim is not None
    return claim


def ended(store: Store, claim: Claim, outcome: Outcome = WELL) -> int:
    assert store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
    return store.executions.of_tasks([claim.id])[-1].entry


def linked(store: Store, entry: int) -> set[tuple[str, int]]:
    return {(one.kind, one.to_id) for one in store.links.of([entry]) if one.from_id == entry}


@pytest.mark.parametrize(
    ("outcome", "attempts", "expected"),
    [
        (Outcome(DONE, "yes", latency=2.5, usage=Usage(30, 40)), 3, DONE),
        (Outcome(FAILED, error="no", latency=2.5, usage=Usage(30, 40)), 3, FAILED),
        (Outcome(FAILED, error="no", latency=2.5, usage=Usage(30, 40)), 1, FAILED),
        (Outcome(CANCELLED, error="stop", latency=2.5, usage=Usage(30, 40)), 3, CANCELLED),
    ],
)
def test_an_attempt_that_ends_is_an_entry(
    store: Store, clock: Clock, outcome: Outcome, attempts: int, expected: str
) -> None:
    place = {"branch": "b", "diff": "1 file", "touched": ["a.py"], "commit": "c" * 40}
    claim = begun(store, attempts_max=attempts, session="s", project=HERE.as_dict())
    found = Outcome(**{**_fields(outcome), "place": place})
    entry = ended(store, claim, found)
    (one,) = store.executions.page()
    assert (one.task_id, one.token, one.attempt, one.outcome) == (claim.id, 1, 1, expected)
    assert (one.role, one.task_type, one.digest, one.session) == ("r", "t", "digest", "s")
    assert (one.cost, one.tokens, one.seconds, one.error) == (30, 40, 2.5, outcome.error)
    assert (one.files, one.diff, one.ended_at) == (("a.py",), "1 file", clock())
    (told,) = store.entries.get([entry])
    assert (told.collection, told.namespace, told.kind) == ("execution", "ns", expected)
    assert (told.branch, told.commit) == ("b", "c" * 40)
    assert store.projects.names([told.project or 0]) == {told.project: "here"}
    assert "fix the port" in told.content
    assert store.full_text.match("port", 5, EntryFilter(collection="execution"))


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in outcome.__slots__}


@pytest.mark.parametrize("how", ["worker died", "lease ended", "stopped"])
def test_an_attempt_that_brings_no_outcome(store: Store, clock: Clock, how: str) -> None:
    claim = begun(store)
    clock.now += 7.0
    if how == "lease ended":
        store.tasks.release_expired(NOW.after(1000.0))
    else:
        store.tasks.release("w1", died=how == "worker died")
    kept = [(one.outcome, one.seconds) for one in store.executions.page()]
    assert kept == ([] if how == "stopped" else [(DIED, 7.0)])
    # What comes after all is refused, and leaves nothing.
    assert not store.tasks.finish(claim.id, claim.token, Outcome(DONE), NOW).accepted
    assert len(store.executions.page()) == len(kept)


def test_what_was_never_begun_leaves_nothing(store: Store) -> None:
    first = store.tasks.assign(NewTask("r", "t"))[0].id
    store.tasks.cancel(first)
    store.tasks.assign(NewTask("r", "t", deadline=1.0))
    store.tasks.release_expired(NOW)
    assert store.executions.page() == []


def test_links_say_what_led_to_what(store: Store, clock: Clock) -> None:
    first = begun(store, session="s")
    one = ended(store, first, Outcome(FAILED, error="no"))
    clock.now += 10.0
    again = taken(store, NOW.after(100.0))
    clock.now += 1.0
    child = begun(store, session=f"task-{again.id}")
    child_end = ended(store, child)
    by = Provenance(SaidBy.AGENT, How.SAID, session="x", task=f"t{again.id}", role="r")
    memory = NewEntry("memory", "ns", "semantic", "", "ports are odd", provenance=by)
    (added,) = store.entries.add([memory])
    clock.now += 1.0
    two = ended(store, again)
    assert linked(store, two) == {(RETRY_OF, one), (PRODUCED, added.id)}
    assert linked(store, child_end) == {(CAUSED_BY, two)}
    clock.now += 1.0
    assert linked(store, ended(store, begun(store, session="s"))) == {(FOLLOWS, two)}
    assert linked(store, ended(store, begun(store, session="other"))) == set()


def test_they_outlive_their_tasks_and_have_an_end_of_their_own(store: Store, clock: Clock) -> None:
    old = ended(store, begun(store))
    clock.now += 10.0 * DAY
    new = ended(store, begun(store, payload="fix the port again"))
    assert store.tasks.prune(clock() + 1.0) == 2
    assert [one.entry for one in store.executions.page()] == [new, old]
    assert store.executions.prune(clock() - DAY) == 1
    assert store.executions.prune(clock() - DAY) == 0
    assert [one.entry for one in store.executions.page()] == [new]
    (gone,) = store.entries.get([old])
    assert (gone.content, gone.title, gone.live, gone.purged_at) == ("", "", False, clock())
    assert store.quick_check() == []
    kinds = [one.kind for one in store.audit.page(limit=100)]
    assert "executions.forgotten" in kinds


def test_pages_and_days(store: Store, clock: Clock) -> None:
    for day in range(3):
        for outcome in (Outcome(DONE, latency=2.0), Outcome(FAILED, error="no", final=True)):
            ended(store, begun(store, payload=f"day {day}", namespace=f"n{day % 2}"), outcome)
        ended(store, begun(store), Outcome(CANCELLED))
        clock.now += DAY
    assert [one.entry for one in store.executions.page(limit=2)] == [9, 8]
    before = store.executions.page(which=ExecutionFilter(outcome=DONE, before=7))
    assert [(one.outcome, one.entry) for one in before] == [(DONE, 4), (DONE, 1)]
    within = store.executions.page(EntryFilter(namespaces=("n1",)))
    assert [one.entry for one in within] == [5, 4]
    days = store.executions.days(limit=2)
    assert [(one.day, one.executions, one.successes, one.seconds) for one in days] == [
        (101, 2, 1, 2.0),
        (102, 2, 1, 2.0),
    ]
    assert store.executions.days(which=ExecutionFilter(role="nobody")) == []


def test_a_rating_is_kept_with_it(store: Store) -> None:
    claim = begun(store)
    entry = ended(store, claim, Outcome(DONE, quality=0.5))
    store.tasks.feedback(claim.id, 0.25)
    assert store.executions.of([entry])[entry].quality == 0.25


def test_secrets_are_masked(store: Store) -> None:
    place = {"touched": [f"notes/{SECRET}.txt"], "diff": SECRET}
    ended(store, begun(store), Outcome(DONE, f"the key is {SECRET}", place=place))
    ended(store, begun(store), Outcome(FAILED, error=f"bad {SECRET}", final=True))
    assert store.purges.holders(SECRET.encode()) == []
