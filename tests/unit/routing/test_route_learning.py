"""What is believed of a candidate and what it costs, and which errors say that it was away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.routing import faults, learning
from khive_supervisor.routing.model import NO_KEY, OVERLOADED, RATE_LIMITED, CandidateRecord

TODAY = 20_000


def done(
    digest: str, good: int, bad: int = 0, *, kind: str = "fix", ago: int = 0
) -> CandidateRecord:
    return CandidateRecord(digest, kind, TODAY - ago, good + bad, good)


def mean(records: list[CandidateRecord], digest: str = "a") -> float:
    return learning.belief(records, digest, "fix", TODAY).mean


def test_nothing_known_is_even() -> None:
    found = learning.belief([], "a", "fix", TODAY)
    assert (found.mean, found.ess) == (0.5, learning.PRIOR_STRENGTH)


def test_an_execution_counts_half_after_a_week() -> None:
    now = learning.belief([done("a", 10)], "a", "fix", TODAY)
    old = learning.belief([done("a", 10, ago=7)], "a", "fix", TODAY)
    assert now.ess - learning.PRIOR_STRENGTH == pytest.approx(10.0)
    assert old.ess - learning.PRIOR_STRENGTH == pytest.approx(5.0)


def test_other_types_and_other_candidates_count_a_quarter_of_a_beginning() -> None:
    assert mean([done("a", 100, kind="review")]) > 0.9
    assert mean([done("b", 100)]) > 0.9
    assert mean([done("b", 100, kind="review")]) == 0.5
    # What it did itself at the type soon says more.
    assert mean([done("b", 100), done("a", 0, 10)]) < 0.2


def test_a_success_that_was_rated_counts_what_it_was_rated() -> None:
    rated = CandidateRecord("a", "fix", TODAY, 10, 10, quality_sum=2.0, qualities=10)
    assert mean([rated]) < 0.3


def test_costs_are_of_the_type_and_else_of_all() -> None:
    cheap = CandidateRecord("a", "fix", TODAY, 4, 4, cost=2_000_000)
    other = CandidateRecord("a", "review", TODAY, 1, 1, cost=9_000_000)
    assert learning.mean_cost([cheap, other], "a", "fix") == 0.5
    assert learning.mean_cost([cheap, other], "a", "docs") == pytest.approx(2.2)
    assert learning.mean_cost([cheap], "b", "fix") is None


@pytest.mark.parametrize(
    ("text", "fault", "after"),
    [
        ("API Error: 429 Too Many Requests; retry after 12 s", RATE_LIMITED, 12.0),
        ('{"status": 529, "error": "overloaded_error"}', OVERLOADED, None),
        ("HTTP 503", OVERLOADED, None),
        ("error code: 401 - invalid api key", NO_KEY, None),
        ("Claude usage limit reached. try again in 5 min", RATE_LIMITED, 300.0),
        ("Please run /login", NO_KEY, None),
        ("not logged in", NO_KEY, None),
        ("try again in 250ms: rate limit", RATE_LIMITED, 0.25),
        ("AssertionError: expected 429 rows, found 430", "", None),
        ("exit code 1", "", None),
        ("line 503: unexpected token", "", None),
    ],
)
def test_errors_in_words(text: str, fault: str, after: float | None) -> None:
    assert faults.of_text(text) == fault
    assert faults.retry_after(text) == (None if after is None else pytest.approx(after))


def test_errors_of_clients_of_services() -> None:
    class RateLimitError(Exception):
        pass

    class ServiceError(Exception):
        status_code = 503

    assert faults.of_error(RateLimitError("slow down")) == RATE_LIMITED
    assert faults.of_error(ServiceError("x")) == OVERLOADED
    assert faults.of_error(ValueError("x")) == ""
    assert [faults.of_status(one) for one in (True, "429", 200, 404, None)] == [""] * 5


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    assert faults.of_text(text) in ("", RATE_LIMITED, OVERLOADED, NO_KEY)
    after = faults.retry_after(text)
    assert after is None or after >= 0
