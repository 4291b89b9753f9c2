"""Decisions that change earlier ones, and which ones those are; pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from khive_supervisor.text.analysis import STOP_WORDS
from khive_supervisor.truth.reading import stemmed

_AMENDS = re.compile(
    r"\bamend(?:ment|ing|ed|s)?\b|"
    r"\b(?:update|change|correction|revision|exception)s? (?:to|of|in) (?:the|our|that) "
    r"[^.\n]{0,60}\b(?:polic|decision|rule|convention|settled|decided|agreed|limit)|"
    r"\b(?:we|i) (?:settled|decided|agreed)\b[^.\n]{0,60}\b(?:but|now|changed|no longer)\b|"
    r"\b(?:supersedes?|replaces|overrides|revis(?:es|ing)|no longer (?:holds?|true|applies))\b|"
    r"\b(?:instead of|not) what we (?:decided|settled|agreed)|\bchanged (?:our|my) minds?\b|"
    r"\bscratch that\b|\bforget (?:what|the) (?:we|i|rule)\b",
    re.IGNORECASE,
)
#: Share of a decision's rare words that an earlier one has to have for it to be amended.
_SHARED = 0.18
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{2,}|\d+")


def amends(text: str) -> bool:
    """Return True if a text says that it changes what was decided before."""
    return _AMENDS.search(text) is not None


def amended(text: str, earlier: Mapping[int, str]) -> int | None:
    """Return which of earlier decisions a text is about; None if it is about none of them.

    A word counts the more the fewer of them have it.
    """
    words = _terms(text)
    held = {number: _terms(one) for number, one in earlier.items()}
    rarity = _rarity([words, *held.values()])
    whole = sum(rarity[word] for word in words)
    worth = {number: sum(rarity[word] for word in words & terms) for number, terms in held.items()}
    best = max(worth, key=lambda number: (worth[number], number), default=None)
    return best if best is not None and worth[best] >= _SHARED * whole else None


def _terms(text: str) -> frozenset[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(stemmed(word) for word in words if word not in STOP_WORDS)


def _rarity(held: Sequence[frozenset[str]]) -> Mapping[str, float]:
    counts = Counter(term for terms in held for term in terms)
    return {term: math.log((1 + len(held)) / count) for term, count in counts.items()}
