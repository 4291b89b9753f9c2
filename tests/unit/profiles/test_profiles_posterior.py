"""Beta posteriors: moments and quantiles against what is known exactly."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.profiles.posterior import UNKNOWN, Beta

PARAMETERS = st.floats(0.01, 10_000)
COUNTS = st.integers(1, 60)


@pytest.mark.parametrize(
    ("alpha", "beta", "mean"), [(7, 3, 0.7), (2, 8, 0.2), (1, 9, 0.1), (1, 1, 0.5)]
)
def test_moments(alpha: float, beta: float, mean: float) -> None:
    posterior = Beta(alpha, beta)
    assert posterior.mean == pytest.approx(mean)
    assert posterior.ess == alpha + beta


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, -math.inf])
def test_what_is_no_beta_distribution_is_refused(bad: float) -> None:
    for pair in ((bad, 1), (1, bad)):
        with pytest.raises(InvalidInput, match="no Beta distribution"):
            Beta(*pair)


@given(COUNTS, COUNTS, st.floats(0.001, 0.999))
def test_the_cumulative_is_the_binomial_sum_for_whole_counts(a: int, b: int, x: float) -> None:
    n = a + b - 1
    exact = math.fsum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1))
    assert Beta(a, b).cumulative(x) == pytest.approx(exact, abs=1e-12)


@given(PARAMETERS, st.sampled_from([0.5, 0.9, 0.99]))
def test_the_interval_is_exact_where_the_quantiles_have_a_formula(a: float, level: float) -> None:
    tail = (1 - level) / 2
    low, high = Beta(a, 1).interval(level)
    assert low == pytest.approx(tail ** (1 / a), abs=1e-9)
    assert high == pytest.approx((1 - tail) ** (1 / a), abs=1e-9)
    # And for its mirror image.
    mirrored = Beta(1, a).interval(level)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@given(PARAMETERS, PARAMETERS)
def test_the_interval_holds_its_level_and_lies_in_order(a: float, b: float) -> None:
    posterior = Beta(a, b)
    low, high = posterior.interval(0.9)
    assert 0 <= low <= high <= 1
    if low > 1e-6 and high < 1 - 1e-6:
        assert posterior.cumulative(high) - posterior.cumulative(low) == pytest.approx(
            0.9, abs=1e-6
        )


@pytest.mark.parametrize("pair", [(5e-324, 5e-324), (1e-300, 1000), (1000, 1e-9), (1e6, 1e6)])
def test_extreme_parameters_have_an_interval(pair: tuple[float, float]) -> None:
    low, high = Beta(*pair).interval()
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, math.nan])
def test_a_level_is_between_0_and_1(level: float) -> None:
    with pytest.raises(InvalidInput, match="not between 0 and 1"):
        UNKNOWN.interval(level)


def test_more_observations_narrow_the_interval() -> None:
    widths = [high - low for low, high in (Beta(7 * n, 3 * n).interval() for n in (1, 10, 100))]
    assert widths == sorted(widths, reverse=True)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), max_size=20))
def test_plus_adds_as_plainly_as_sql_does(counts: list[Any]) -> None:
    posterior, alpha, beta = UNKNOWN, 1.0, 1.0
    for more, less in counts:
        posterior = posterior.plus(more, less)
        alpha, beta = alpha + more, beta + less
    assert (posterior.alpha, posterior.beta) == (alpha, beta)


@given(PARAMETERS, PARAMETERS)
def test_all_of_it_lies_between_nothing_and_everything(a: float, b: float) -> None:
    posterior = Beta(a, b)
    assert posterior.cumulative(0.0) == posterior.cumulative(-1.0) == 0.0
    assert posterior.cumulative(1.0) == posterior.cumulative(2.0) == 1.0
