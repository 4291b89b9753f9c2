"""How likely it is that a newer statement has taken the place of one that answers a query; pure.

Two short statements that answer the same question, and are nearer to each other than to the other
answers, are likely to be about one thing, of which the newer one is the likelier to hold. A
logistic function weighs what is known of both,

    logit = constant + sum of weight * feature

and the newer one may stand first where it is above 0. The weights were learned from pairs of facts
that judge nothing, by `python -m benchmarks.truth.learn_answering`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from khive_supervisor.truth.compare import rivals
from khive_supervisor.truth.reading import Reading

#: The other answers that a statement is compared with, and how near such are where there are fewer.
BESIDE, USUAL = 3, 0.25
#: Characters of a statement, at most: a longer text is of many things.
LONGEST = 300

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "constant": -0.822,
        "older_stands_out": 8.235,
        "newer_stands_out": 5.086,
        "coverage": 3.015,
        "more_coverage": -0.380,
        "further": -0.537,
        "words": -5.129,
        "changes": 1.548,
        "read": -1.409,
        "rivals": -3.304,
        "first": -2.339,
        "named": 1.020,
    }
)


@dataclass(frozen=True, slots=True)
class Answering:
    """How one statement answers a query.

    `coverage` is the share of the query's words by their weight, `names` that of its names;
    `near` how near the other answers are to it (cosines), `learned_boost` what was learned of it, 1
    where nothing was.
    """

    reading: Reading
    coverage: float
    names: float
    near: Sequence[float]
    learned_boost: float = 1.0


def may_stand_before(newer: Answering, older: Answering) -> bool:
    """Return False where something says that the older one is what was asked for."""
    return (
        newer.names >= older.names
        and newer.learned_boost >= older.learned_boost
        and not any(
            len(one.reading.text) > LONGEST or one.reading.is_code for one in (newer, older)
        )
    )


def logit(newer: Answering, older: Answering, alike: float, further: int) -> float:
    """Return how likely it is that the newer one has taken the older one's place: above 0.

    `alike` is the cosine of both, `further` how many places the newer one is further down.
    """
    known = features(newer, older, alike, further)
    return sum(weight * known[name] for name, weight in WEIGHTS.items())


def features(newer: Answering, older: Answering, alike: float, further: int) -> Mapping[str, float]:
    """Return the features that the weights are for, by name."""
    new, old = newer.reading, older.reading
    return {
        "constant": 1.0,
        "older_stands_out": alike - nearest_beside(older.near, alike),
        "newer_stands_out": alike - nearest_beside(newer.near, alike),
        "coverage": newer.coverage,
        "more_coverage": newer.coverage - older.coverage,
        "further": float(further),
        "words": len(new.said & old.said) / max(1, len(new.said), len(old.said)),
        "changes": float(any(one.changes for one in new.statements)),
        **_of_statements(new, old),
    }


def nearest_beside(near: Sequence[float], alike: float) -> float:
    """Return how near the nearest others are, without the one that is as near as `alike`."""
    others = sorted((one for one in near if one != alike), reverse=True)[:BESIDE]
    return (sum(others) + USUAL * (BESIDE - len(others))) / BESIDE


def _of_statements(new: Reading, old: Reading) -> Mapping[str, float]:
    read = bool(new.statements and old.statements)
    first = named = rival = False
    if read:
        one, other = new.statements[0], old.statements[0]
        first = one.order[0] == other.order[0]
        named = one.order[0] in other.said or other.order[0] in one.said
        rival = rivals(new, old) or rivals(old, new)
    return {
        "read": float(read),
        "rivals": float(rival),
        "first": float(first),
        "named": float(named),
    }
