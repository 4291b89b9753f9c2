"""The file of waiting calls against a model of it: order, numbers, and what is begun together."""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import waiting
from khive_supervisor.sqlite.team.waiting import WaitingTable
from khive_supervisor.team.waiting import CallerData, CallTime, NewWaitingCall

CALLER = CallerData(request={}, client=["", ""], project_name="")


class WaitingCalls(RuleBasedStateMachine):
    """Calls are kept, begun, done, put aside, tried again and dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="k")
        self.store = SqliteStore(str(Path(self.directory.name) / "khive.db"))
        self.table = self.opened()
        #: By number, what is said and how often it was begun; those put aside.
        self.waits: dict[int, tuple[str, int]] = {}
        self.aside: dict[int, str] = {}
        self.done: list[int] = []
        self.last = 0

    def opened(self) -> WaitingTable:
        return WaitingTable(self.store.database, "n1", lambda: 0.0, lambda _: None, lambda _: None)

    @rule(text=st.text(max_size=5))
    def keep(self, text: str) -> None:
        said = NewWaitingCall(CallTime(1, "b", 2), "v", "n", {"content": text}, CALLER)
        number = self.table.keep(said)
        assert number > self.last, "no number is given twice"
        self.last = number
        self.waits[number] = (text, 0)

    @rule(limit=st.integers(1, 4), more=st.booleans())
    def begin(self, limit: int, more: bool) -> None:
        begun = self.table.begin(limit, self.done if more else ())
        if more:
            for number in self.done:
                self.waits.pop(number, None)
            self.done = []
        expected: list[int] = []
        for number, (_, attempts) in sorted(self.waits.items())[:limit]:
            if attempts and expected:
                break
            expected.append(number)
            if attempts:
                break
        assert [one.number for one in begun] == expected
        for one in begun:
            text, attempts = self.waits[one.number]
            assert (one.said.arguments["content"], one.attempts) == (text, attempts + 1)
            self.waits[one.number] = (text, attempts + 1)
        self.done = expected

    @rule()
    def put_back(self) -> None:
        self.table.put_back(self.done)
        for number in set(self.done) & set(self.waits):
            text, attempts = self.waits[number]
            self.waits[number] = (text, max(0, attempts - 1))
        self.done = []

    @rule()
    def put_aside(self) -> None:
        if self.done and self.done[0] in self.waits:
            number = self.done.pop(0)
            self.table.put_aside(number, "it failed")
            self.aside[number] = self.waits.pop(number)[0]

    @rule()
    def retry(self) -> None:
        for number in list(self.aside)[:1]:
            again = self.table.retry(number)
            assert again > self.last
            self.last = again
            self.waits[again] = (self.aside.pop(number), 0)
            with pytest.raises(InvalidInput):
                self.table.retry(again)

    @rule()
    def drop(self) -> None:
        for number in list(self.aside)[:1]:
            self.table.drop(number)
            del self.aside[number]
            with pytest.raises(NotFound):
                self.table.drop(number)

    @rule()
    def another_process(self) -> None:
        self.table = self.opened()

    @invariant()
    def stands(self) -> None:
        found = self.table.standing()
        assert (found.waiting, found.aside) == (len(self.waits), len(self.aside))
        assert [one.number for one in self.table.all()] == sorted([*self.waits, *self.aside])

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()


def test_the_first_calls_are_found_without_a_look_at_all_others(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        opened = WaitingTable(store.database, "n1", lambda: 0.0, lambda _: None, lambda _: None)
        opened.keep(NewWaitingCall(CallTime(1, "b", 2), "v", "n", {}, CALLER))
    with apsw.Connection(waiting.waiting_file(str(tmp_path / "khive.db"))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {waiting._FIRST}", (20,)).fetchall()
    assert [step for *_, step in plan] == ["SCAN calls"]


WaitingCalls.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, derandomize=True
)
TestWaitingCalls = WaitingCalls.TestCase
