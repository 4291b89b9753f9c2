"""Whose text is computed next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from khive_workers.embedder.turns import (
    SHORT_CHARACTERS,
    SHORT_TEXTS,
    SOLE_AFTER,
    WAITING_LIMIT,
    Job,
    Slice,
    SoleClient,
    Turns,
)

from khive_supervisor.embed.base import EmbedderBusy

LONG_TEXT = "x" * (SHORT_CHARACTERS + 1)


def job(*texts: str) -> Job:
    return Job(list(texts), 2, lambda _: None)


def drained(turns: Turns) -> list[Slice]:
    found = []
    while (part := turns.take()) is not None:
        found.append(part)
    return found


def test_what_is_short() -> None:
    assert job("query").short
    assert job(*["query"] * SHORT_TEXTS).short
    assert not job(*["query"] * (SHORT_TEXTS + 1)).short
    assert not job(LONG_TEXT).short


def test_one_who_serves_the_short_never_gets_a_long_one() -> None:
    turns = Turns(batch=1)
    turns.add(job(LONG_TEXT))
    assert turns.take_short() is None
    query = job("query")
    turns.add(query)
    part = turns.take_short()
    assert part is not None
    assert part.job is query


def test_one_who_serves_all_keeps_the_long_ones_going() -> None:
    turns = Turns(batch=1)
    long = job(LONG_TEXT)
    for each in (job("query"), long):
        turns.add(each)
    assert [part.job is long for part in drained(turns)] == [True, False]


def test_long_jobs_take_turns() -> None:
    turns = Turns(batch=2)
    first, second = job(*"abcdef"), job(*"uvwxyz")
    turns.add(first)
    turns.add(second)
    assert [part.texts for part in drained(turns)] == [
        ["a", "b"], ["u", "v"], ["c", "d"], ["w", "x"], ["e", "f"], ["y", "z"],
    ]  # fmt: skip


def test_too_much_is_refused_and_leaves_what_was_there() -> None:
    turns = Turns(batch=1)
    turns.add(job(*["x"] * WAITING_LIMIT))
    with pytest.raises(EmbedderBusy, match=str(WAITING_LIMIT)):
        turns.add(job("one more"))
    assert turns.waiting == WAITING_LIMIT
    turns.take()
    turns.add(job("one more"))


def test_a_dropped_job_frees_its_place() -> None:
    turns = Turns(batch=1)
    gone, stays = job(*"abcdef"), job(*"uvwxyz")
    turns.add(gone)
    turns.add(stays)
    turns.take()
    turns.drop(gone)
    turns.drop(gone)
    assert gone.over
    assert turns.waiting == 6
    assert all(part.job is stays for part in drained(turns))


@given(st.integers(1, 7), st.integers(1, 20))
def test_the_slices_of_a_job_are_its_texts_in_order(batch: int, count: int) -> None:
    texts = [f"text {number}" for number in range(count)]
    one = job(*texts)
    turns = Turns(batch)
    turns.add(one)
    parts = drained(turns)
    assert [text for part in parts for text in part.texts] == texts
    for part in parts:
        one.fill(part.start, np.full((len(part.texts), 2), part.start, np.float32))
    assert one.left == 0
    assert one.vectors[0, 0] == 0


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes and goes, each text is handed out once or dropped, and none is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = Turns(batch=3)
        self.owed: dict[int, tuple[Job, int]] = {}

    @rule(count=st.integers(1, 12))
    def add(self, count: int) -> None:
        new = job(*["x"] * count)
        self.turns.add(new)
        self.owed[id(new)] = (new, count)

    @rule(short=st.booleans())
    def take(self, short: bool) -> None:
        part = self.turns.take_short() if short else self.turns.take()
        if part is None:
            assert short or not self.turns.waiting
            return
        owner, left = self.owed[id(part.job)]
        assert part.job.short or not short
        self.owed[id(owner)] = (owner, left - len(part.texts))

    @precondition(lambda self: self.owed)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        owner, _ = self.owed[data.draw(st.sampled_from(sorted(self.owed)))]
        self.turns.drop(owner)
        self.owed[id(owner)] = (owner, 0)

    @invariant()
    def the_count_is_right(self) -> None:
        assert self.turns.waiting == sum(left for _, left in self.owed.values())


TestAnyOrder = AnyOrder.TestCase


def test_who_asks_by_turns_with_others_is_not_alone() -> None:
    sole_client = SoleClient()
    assert sole_client.is_sole("a", 0.0)
    assert sole_client.is_sole("a", 0.001)
    assert not sole_client.is_sole("b", SOLE_AFTER / 2)
    assert not sole_client.is_sole("a", SOLE_AFTER)
    assert sole_client.is_sole("a", SOLE_AFTER * 2)
    assert sole_client.is_sole("b", SOLE_AFTER * 9)
