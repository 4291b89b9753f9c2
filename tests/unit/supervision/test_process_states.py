"""The life of a supervised process: the one table, and what a process that hangs comes to."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.liveness import SUSPECT, TICK, HangLimits
from khive_supervisor.supervision.processes.process import SupervisedProcess
from khive_supervisor.supervision.processes.states import NEXT, ProcessEvent, ProcessState, after

S, E = ProcessState, ProcessEvent


@pytest.mark.parametrize(("state", "event"), list(itertools.product(S, E)))
def test_only_declared_transitions_happen(state: S, event: E) -> None:
    if (state, event) in NEXT:
        assert after(state, event) is NEXT[state, event]
    else:
        with pytest.raises(AssertionError, match=f"impossible while {state.value}"):
            after(state, event)


@pytest.mark.parametrize("state", list(S))
def test_every_state_is_reached_and_leads_to_an_end(state: S) -> None:
    reached = {S.STOPPED}
    while more := {to for (at, _), to in NEXT.items() if at in reached} - reached:
        reached |= more
    assert state in reached
    told = after(state, E.TOLD)
    assert told is S.STOPPED or after(told, E.ENDED) is S.STOPPED


@pytest.mark.parametrize("state", list(S))
def test_what_runs_can_end_and_what_does_not_can_be_started(state: S) -> None:
    running = SupervisedProcess(state=state).running
    assert running == any((state, event) in NEXT for event in (E.DIED, E.ENDED))
    assert running != ((state, E.STARTED) in NEXT)


@dataclass
class World:
    """A process table with one process, a clock, and who was ended."""

    letter: str = "S"
    now: float = 100.0
    asked: int = 0
    memory: int | None = None
    ended: list[int] = field(default_factory=list)

    def process(self) -> Asked:
        process = Asked(clock=lambda: self.now, signs=lambda _pid: (self.letter, 1.0),
                        memory=lambda _pid: self.memory)  # fmt: skip
        process.world = self
        process.begin(7)
        return process

    def look(self, process: SupervisedProcess, limits: HangLimits, *, owes: bool = False) -> bool:
        self.now += TICK
        return process.hangs(limits, owes=owes)


class Asked(SupervisedProcess):
    """Counts the questions."""

    world: World

    def ask(self) -> None:
        self.world.asked += 1


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(processes, "end_group", made.ended.append)
    return made


LIMITS = HangLimits(stopped=3.0, silent=10.0)


def test_one_that_answers_is_asked_again_and_again(world: World) -> None:
    process = world.process()
    for _ in range(100):
        assert not world.look(process, LIMITS)
        process.heard()
    assert world.asked == 100 * TICK / process.every
    assert process.well
    assert process.shown("ready") == {"state": "ready"}


def test_one_that_hangs_is_ended_once_and_counted(world: World) -> None:
    process = world.process()
    found = [world.look(process, LIMITS) for _ in range(60)]
    assert found.count(True) == 1
    assert world.ended == [7]
    assert (process.hung, process.well) == (1, False)
    assert process.shown("ready")["state"] == "hung"
    process.over(E.DIED)
    assert process.well
    process.begin(8)
    assert not world.look(process, LIMITS)
    assert process.shown("ready") == {"state": "ready"}


def test_one_that_cannot_be_asked_owes_nothing_and_is_found_when_it_is_stopped(
    world: World,
) -> None:
    process = world.process()
    process.asks = False
    assert not any(world.look(process, LIMITS) for _ in range(60))
    assert world.asked == 0
    world.letter = "T"
    assert any(world.look(process, LIMITS) for _ in range(4))


@given(st.lists(st.booleans(), max_size=60))
def test_one_that_owes_its_first_word_is_not_asked_and_each_word_counts(words: list[bool]) -> None:
    world = World()
    process = world.process()
    silent = 0.0
    for word in words:
        world.look(process, HangLimits(silent=1e9), owes=True)
        silent += TICK
        shown = process.shown("starting")
        assert shown.get("unheard_seconds", 0.0) == (silent if silent >= SUSPECT else 0.0)
        if word:
            process.heard()
            silent = 0.0
    assert world.asked == 0


def test_one_that_does_not_run_is_not_looked_at(world: World) -> None:
    process = world.process()
    process.over(E.ENDED)
    world.letter = "T"
    assert not any(world.look(process, LIMITS) for _ in range(60))
    process.kill()
    assert world.ended == []


def test_memory_is_shown_as_it_was_within_the_last_seconds(world: World) -> None:
    process = world.process()
    world.memory = 5_000_000
    assert process.shown("ready") == {"state": "ready", "memory_bytes": 5_000_000}
    world.memory = 6_000_000
    assert process.shown("ready")["memory_bytes"] == 5_000_000
    world.now += 11
    assert process.shown("ready")["memory_bytes"] == 6_000_000
    process.over(E.ENDED)
    assert "memory_bytes" not in process.shown("stopped")


def test_the_memory_of_this_process_is_known_where_the_system_tells_it() -> None:
    found = processes.memory_of(os.getpid())
    assert found is None or 1_000_000 < found < 10_000_000_000
    assert processes.memory_of(2**22 + 1) is None
