"""Beta posteriors: what is believed of a share, and how firmly."""

from __future__ import annotations

import math
from dataclasses import dataclass

from khive_supervisor.errors import InvalidInput

#: Halvings of [0, 1] in which a quantile is found: the error is below 2^-40.
_HALVINGS = 40
#: Terms of the continued fraction at most; it needs about the square root of the larger parameter.
_TERMS = 20_000
_PRECISION = 1e-14
#: Keeps the continued fraction's denominators away from zero.
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta(alpha, beta): alpha counts what spoke for it, beta what spoke against it.

    Raises:
        InvalidInput: a parameter is not a finite number above 0.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not (math.isfinite(value) and value > 0):
                raise InvalidInput(
                    f"{name} is {value!r}, and no Beta distribution has that.",
                    hint="Both parameters are finite numbers above 0.",
                )

    @property
    def ess(self) -> float:
        """The effective sample size: how many observations it is worth."""
        return self.alpha + self.beta

    @property
    def mean(self) -> float:
        """The expected share."""
        return self.alpha / self.ess

    def plus(self, alpha: float, beta: float) -> Beta:
        """The posterior after more counts; plain addition, as the store does it."""
        return Beta(self.alpha + alpha, self.beta + beta)

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """The equal-tailed credible interval.

        By bisection on the regularized incomplete beta function (its continued fraction, with
        `math.lgamma`): within 1e-9 of the exact quantiles for parameters from 0.01 to 10,000.
        """
        if not 0.0 < level < 1.0:
            raise InvalidInput(f"The level {level!r} is not between 0 and 1.", hint="Use 0.9.")
        tail = (1.0 - level) / 2.0
        return self._quantile(tail), self._quantile(1.0 - tail)

    def cumulative(self, share: float) -> float:
        """The probability that the share is at most this."""
        if share <= 0.0:
            return 0.0
        if share >= 1.0:
            return 1.0
        # The fraction converges fast on one side of the mean only; the other is its mirror image.
        if share < (self.alpha + 1.0) / (self.ess + 2.0):
            return _below(self.alpha, self.beta, share)
        return 1.0 - _below(self.beta, self.alpha, 1.0 - share)

    def _quantile(self, probability: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            if self.cumulative(middle) < probability:
                low = middle
            else:
                high = middle
        return (low + high) / 2.0


#: What is known of a target that nobody has said anything about.
UNKNOWN = Beta(1.0, 1.0)


def _below(a: float, b: float, x: float) -> float:
    """I_x(a, b) for x below the mean: the leading factor times the continued fraction."""
    logarithm = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(logarithm) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c = 1.0
    d = 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
