"""Which handler a task goes to, by what its claim says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from khive_workers.role.candidates import WithFallback
from khive_workers.role.handlers import Why

from khive_supervisor.errors import BootFailure
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claim, Outcome, Usage

CLAIM = Claim(1, 1, "r", "t", None, 1, 3, Moment("b", 0), None, "", "", "")


class Fake:
    """A handler that notes what it is asked."""

    def __init__(self, name: str, *, ends: bool = False, works: bool = True) -> None:
        self.name, self.ends, self.works = name, ends, works
        self.tidies = 0.0
        self.heard: list[str] = []

    def check(self) -> None:
        self.heard.append("check")
        if not self.works:
            raise BootFailure("it is not there")

    def begin(self, claim: Claim) -> None:
        self.heard.append(f"begin {claim.id}")

    def outcome(self) -> Outcome:
        return Outcome(DONE, self.name)

    def progress(self) -> str:
        return self.name

    def used(self) -> Usage:
        return Usage(1)

    def stop(self, why: Why) -> None:
        self.heard.append(f"stop {why.value}")

    def turn(self, now: float) -> float:
        return now + 1

    def close(self) -> None:
        self.heard.append("close")


class Made:
    """Makes fallbacks, and keeps them."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.all: list[Fake] = []

    def __call__(self, command: tuple[str, ...]) -> Fake:
        self.all.append(Fake(command[0], ends=True, works=self.works))
        return self.all[-1]


def test_the_claim_says_who_does_it() -> None:
    main, made = Fake("main"), Made()
    both = WithFallback(main, made)
    both.check()
    both.begin(CLAIM)
    outcome = both.outcome()
    assert outcome is not None
    assert (outcome.result, both.ends, made.all) == ("main", False, [])
    both.begin(replace(CLAIM, id=2, fallback=("a",)))
    outcome = both.outcome()
    assert outcome is not None
    assert (outcome.result, both.ends, both.progress()) == ("a", True, "a")
    assert (both.used(), both.turn(5.0)) == (Usage(1), 6.0)
    both.stop(Why.CANCELLED)
    both.begin(replace(CLAIM, id=3, fallback=("a",)))
    both.begin(replace(CLAIM, id=4, fallback=("b",)))
    both.begin(replace(CLAIM, id=5))
    both.close()
    assert main.heard == ["check", "begin 1", "begin 5", "close"]
    assert [one.heard for one in made.all] == [
        ["check", "begin 2", "stop cancelled", "check", "begin 3", "close"],
        ["check", "begin 4", "close"],
    ]


@pytest.mark.parametrize("times", [1, 2])
def test_a_fallback_that_is_not_there_fails_the_attempt_only(times: int) -> None:
    both = WithFallback(Fake("main"), Made(works=False))
    for _ in range(times):
        both.begin(replace(CLAIM, fallback=("gone",)))
        outcome = both.outcome()
        assert outcome is not None
        assert outcome.state == FAILED
        assert outcome.error == "The role's budget.fallback failed: it is not there"
    both.begin(CLAIM)
    found = both.outcome()
    assert found is not None
    assert found.result == "main"
