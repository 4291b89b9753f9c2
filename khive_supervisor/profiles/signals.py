"""What each signal does to a profile: one table, and the effects that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khive_supervisor.errors import InvalidInput

#: The three posteriors of a profile; their means are the weights of a ranking.
WEIGHTS = ("relevance", "salience", "temporal")
#: Microseconds up to which a recall that hit speaks for the temporal weight.
PROMPT_US = 50_000

RECALL_HIT, RECALL_MISS = "recall_hit", "recall_miss"


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal: how much it says, in which direction, and about what.

    `implicit`: nobody said it in words, it was concluded from what somebody did.
    """

    name: str
    weight: float
    positive: bool
    posteriors: tuple[str, ...]
    target: bool = True
    implicit: bool = False


_RATED = ("salience",)
_TABLE = (
    #      name                 weight positive what it is about
    Signal("useful",              1.0, True,  _RATED),
    Signal("not_useful",          1.0, False, _RATED),
    Signal("wrong",               1.0, False, _RATED),
    Signal("explicit_positive",   1.5, True,  _RATED),
    Signal("explicit_negative",   1.5, False, _RATED),
    Signal("implicit_positive",   0.5, True,  _RATED, implicit=True),
    Signal("implicit_negative",   0.5, False, _RATED, implicit=True),
    Signal("correction",          2.0, False, ("salience", "relevance")),
    Signal(RECALL_HIT,            1.0, True,  ("relevance",), implicit=True),
    Signal(RECALL_MISS,           1.0, False, ("relevance",), target=False),
)  # fmt: skip

#: Every signal, by name.
SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _TABLE}
#: Those that say what somebody thinks of an entry, as against how a recall went.
RATINGS = tuple(name for name in SIGNALS if name not in (RECALL_HIT, RECALL_MISS))

Counts = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Effect:
    """What is added to the posteriors: (alpha, beta) for each weight it concerns, and the target's.

    The same numbers are added by the store and by a replay, in the same order.
    """

    weights: Mapping[str, Counts]
    target: Counts | None


#: What is only noted.
NOTHING = Effect({}, None)


def named(name: str) -> Signal:
    """The signal of a name.

    Raises:
        InvalidInput: there is none.
    """
    signal = SIGNALS.get(name)
    if signal is None:
        raise InvalidInput(
            f"There is no signal {name[:80]!r}.", hint=f"Signals are: {', '.join(SIGNALS)}."
        )
    return signal


def effect(signal: Signal, counted: float, latency_us: int | None = None) -> Effect:
    """What a signal does whose admitted weight is `counted`.

    A recall that hit speaks for the temporal weight if it was prompt, else against it; one whose
    time was not measured says nothing about it.
    """
    if counted <= 0.0:
        return NOTHING
    good, bad = (counted, 0.0), (0.0, counted)
    one = good if signal.positive else bad
    weights = dict.fromkeys(signal.posteriors, one)
    if signal.name == RECALL_HIT and latency_us is not None:
        weights["temporal"] = good if latency_us <= PROMPT_US else bad
    return Effect(weights, one if signal.target else None)
