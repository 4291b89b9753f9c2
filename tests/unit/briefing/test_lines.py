"""Lines, briefs and prompts: within their budgets, and nothing where there is nothing to say."""

from __future__ import annotations

import pytest

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.brief import BriefFacts, compose
from khive_supervisor.briefing.lines import Composed, Line, composed
from khive_supervisor.briefing.prompts import LONGEST_QUERY, error_query, prompt_query
from khive_supervisor.briefing.states import IDLE_AFTER, Seen, state_of
from khive_supervisor.briefing.usage import made_use


def line(number: int, text: str = "The port is 5433.") -> Line:
    return Line(number, f"m{number}", "2026-11-29", text)


def test_a_line_is_one_line() -> None:
    one = Line(1, "m1", "2026-11-29", "a\n b", ("may be outdated",))
    assert str(one) == "m1 2026-11-29 a b (may be outdated)"


@pytest.mark.parametrize("budget", [0, 10, 40, 80, 400])
def test_lines_stay_within_a_budget(budget: int) -> None:
    found = composed("From memory:", [line(n) for n in range(1, 50)], budget)
    assert found.tokens == tokens.bound(found.text) <= budget
    assert (found == Composed()) == (not found.lines)


@pytest.mark.parametrize("budget", [0, 30, 100, 400])
def test_a_brief_stays_within_a_budget(budget: int) -> None:
    many = [line(n, "A decision of some length that was made.") for n in range(1, 40)]
    facts = BriefFacts(many[:20], many[20:], many[:5], many[5:9], many[9:12])
    found = compose(facts, budget, "billing")
    assert found.tokens <= budget
    if budget == 400:
        assert found.text.index("Pinned:") < found.text.index("Decided:")
        assert len(set(found.lines)) == len(found.lines), "none twice"


def test_nothing_stored_is_no_brief() -> None:
    assert compose(BriefFacts(), 400) == Composed()


@pytest.mark.parametrize("prompt", ["", "  ", "...", "/clear", "!ls -la", "\0"])
def test_what_is_not_for_the_model_is_not_looked_for(prompt: str) -> None:
    assert prompt_query(prompt) == ""


def test_a_huge_prompt_is_looked_for_by_its_beginning() -> None:
    assert len(prompt_query("word " * 100_000)) <= LONGEST_QUERY


def test_an_error_is_looked_for_by_its_telling_lines() -> None:
    output = "step 1\nstep 2\nE   KeyError: 'tax'\n1 failed in 0.1s\nbye"
    found = error_query("pytest -q", output)
    assert found.startswith("pytest -q\n")
    assert "KeyError: 'tax'" in found
    assert "step" not in found
    assert error_query("make", "") == ""


def test_use_is_what_only_the_entry_could_tell() -> None:
    entry = "Uploads are capped at 4 attempts with 250 ms backoff."
    assert made_use(entry, "m7", "uploads fail", ["I set 4 attempts and 250 ms"])
    assert made_use(entry, "m7", "uploads fail", ["as m7 says"])
    assert not made_use(entry, "m7", "uploads fail", ["uploads fail since the disk is full"])
    assert not made_use(entry, "m7", "uploads fail", ["see m77"])


def test_states_of_sessions() -> None:
    assert state_of(Seen("working", 100.0, True), 101.0) == "working"
    assert state_of(Seen("waiting", 100.0, None), 101.0 + IDLE_AFTER) == "idle"
    assert state_of(Seen("working", 100.0, False), 101.0) == "ended"
    assert state_of(Seen("waiting", 100.0, True), 5.0) == "waiting", "the clock was set back"
