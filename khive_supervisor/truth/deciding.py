"""How likely it is that a newer conversation decides anew what an older one has decided; pure.

Two conversations that answer the same question are likely to be about one decision where they are
nearer to each other than to the other answers, and where they share rare words and names of code. A
logistic function weighs what is known of both,

    logit = constant + sum of weight * feature

and the newer one may stand first where it is above 0. The weights were learned from chats that
judge nothing, by `python -m benchmarks.truth.learn_deciding`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

from khive_supervisor.truth.amending import LEAST_SHARED, Worth
from khive_supervisor.truth.answering import Answering, nearest_beside
from khive_supervisor.truth.reading import Reading

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"constant": -4.584, "stands_out": 3.060, "shared": 18.551, "names": 4.303, "amends": 2.154}
)

#: Conversations that are further apart than that are not looked at: cosine.
NEAREST_APART = 0.3
#: What a word is worth that only one of two conversations has, and that is not looked up.
USUAL_WORTH = 6.0
#: A name of code or of a file: "hooks/sender.py", "MAX_TRIES", "roundHalfUp".
_NAMES = re.compile(
    r"[A-Za-z_<][\w./<>-]*[._/<>-][\w./<>-]*\w|\b[A-Z][A-Z0-9_]{2,}\b|\b[a-z]+[A-Z]\w+"
)


def may_decide_anew(newer: Answering, older: Answering, alike: float) -> bool:
    """Return False where two are no conversations, share little, or the older one was asked for.

    The older one was asked for if it has more of the names in the query, or feedback speaks for it.
    `alike` is the cosine of both.
    """
    return (
        alike >= NEAREST_APART
        and newer.reading.spoken
        and older.reading.spoken
        and newer.names >= older.names
        and newer.learned_boost >= older.learned_boost
        and len(newer.reading.said & older.reading.said) >= LEAST_SHARED
    )


def logit(newer: Answering, older: Answering, alike: float, worth: Worth) -> float:
    """Return how likely it is that the newer one has decided anew: above 0.

    `alike` is the cosine of both.
    """
    known = features(newer, older, alike, worth)
    return sum(weight * known[name] for name, weight in WEIGHTS.items())


def features(newer: Answering, older: Answering, alike: float, worth: Worth) -> Mapping[str, float]:
    """Return the features that the weights are for, by name."""
    new, old = newer.reading, older.reading
    return {
        "constant": 1.0,
        "stands_out": alike - nearest_beside(older.near, alike),
        "shared": _share_of_words(new, old, worth),
        "names": math.log1p(len(_names(new) & _names(old))),
        "amends": float(new.amends),
    }


def _share_of_words(newer: Reading, older: Reading, worth: Worth) -> float:
    """Return which share of their words two texts have in common, by what these are worth.

    Only what both have is looked up.
    """
    ours, theirs = newer.tokens, older.tokens
    shared = {ours[stem] for stem in ours.keys() & theirs.keys()}
    known = worth(shared)
    both = sum(known[one] for one in shared)
    apart = [both + USUAL_WORTH * (len(one) - len(shared)) for one in (ours, theirs)]
    return both / math.sqrt(apart[0] * apart[1]) if both else 0.0


def _names(of: Reading) -> frozenset[str]:
    return frozenset(name.lower() for name in _NAMES.findall(of.text))
