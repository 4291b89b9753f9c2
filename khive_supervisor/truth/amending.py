"""How likely it is that a text which says that it changes something changes an earlier one; pure.

A text of many things, such as a chat, is compared as a whole, and only where it says of itself that
it amends what was decided. A logistic function weighs how near both are, which share of their words
they have in common, and whether the earlier one has what is said to be changed ("amending the retry
policy", "superseding the flat fee"),

    logit = constant + sum of weight * feature

and the earlier one is amended where it is above 0. The weights were learned from chats that judge
nothing, by `python -m benchmarks.truth.learn_amending`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType

from khive_supervisor.truth import words
from khive_supervisor.truth.reading import Reading, classed, stemmed

#: Tells what words, as they are written, are worth: the more, the fewer texts have them.
Worth = Callable[[Collection[str]], Mapping[str, float]]

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"constant": -7.857, "cosine": 4.564, "shared": 15.807, "named": 2.640}
)

#: How near two texts are taken for whose vectors are not known.
UNKNOWN = 0.5
#: Words that both must have: with fewer no text is looked at any further.
LEAST_SHARED = 4
#: Words that are read of what is said to be changed.
MOST_NAMED = 4
#: Numbers that a text must have to be known to say only what another one said already.
LEAST_NUMBERS = 2
_NUMBERS = re.compile(r"\d+(?:[.:]\d+)*")
#: What leads to what is changed, and what may stand before it.
_LEADING = re.compile(
    r"\b(?:amend(?:s|ed|ing)?|amendments? to|(?:updates?|corrections?) to|revisions? (?:of|to)"
    r"|changes? (?:to|the|our)|changed|revis(?:ed|es|ing)|supersed\w+|overruled|replac(?:es|ed|ing)"
    r"|instead of|rather than|no longer|(?:decided|voted) against)\s+"
    r"(?:(?:the|our|my|old|previous|existing|what we (?:said|had|agreed on)(?: for)?)\s+)*"
    r"(?P<what>[^,.;:()\n]{2,60})",
    re.IGNORECASE,
)
_PARTS = re.compile(r"\w+")
_COMPOUNDS = re.compile(r"\w+(?:-\w+)+")
#: Stems of words that say little of what a text is about.
PASSING = frozenset(map(stemmed, words.WEAK | words.COMMON))


def evenly(some: Collection[str]) -> Mapping[str, float]:
    """Return that all words are worth the same, where nothing is known of them."""
    return dict.fromkeys(some, 1.0)


def amends(newer: Reading, older: Reading, cosine: float | None, worth: Worth = evenly) -> bool:
    """Return True if a text that says that it changes something is likely to change an older one.

    `cosine` is that of their vectors, None where there are none.
    """
    if not newer.amends or len(newer.said & older.said) < LEAST_SHARED:
        return False
    if says_already(older.text, newer.text):
        return False
    known = features(newer, older, cosine, worth)
    return sum(weight * known[name] for name, weight in WEIGHTS.items()) > 0.0


def says_already(older: str, newer: str) -> bool:
    """Return True if an older text has every number of a newer one: that amends another text."""
    numbers = {*_NUMBERS.findall(newer)}
    return len(numbers) >= LEAST_NUMBERS and numbers <= {*_NUMBERS.findall(older)}


def features(
    newer: Reading, older: Reading, cosine: float | None, worth: Worth = evenly
) -> Mapping[str, float]:
    """Return the features that the weights are for, by name."""
    return {
        "constant": 1.0,
        "cosine": UNKNOWN if cosine is None else cosine,
        "shared": share_of_words(newer, older, worth),
        "named": _share(frozenset(_named(newer.text)), older),
    }


def share_of_words(newer: Reading, older: Reading, worth: Worth = evenly) -> float:
    """Return which share of their words two texts have in common, by what these are worth."""
    ours, theirs = newer.tokens, older.tokens
    known = worth({*ours.values(), *theirs.values()})
    both = _sum(known, {stem: ours[stem] for stem in ours.keys() & theirs.keys()})
    apart = math.sqrt(_sum(known, ours) * _sum(known, theirs))
    return both / apart if apart else 0.0


def _sum(known: Mapping[str, float], tokens: Mapping[str, str]) -> float:
    """Return what words are worth together; common verbs and nouns count half."""
    return sum(known[one] * (0.5 if stem in PASSING else 1.0) for stem, one in tokens.items())


def _named(text: str) -> Iterator[str]:
    """Yield the stems of what a text says to be changed."""
    for match in _LEADING.finditer(text):
        for word in _PARTS.findall(match["what"].lower())[:MOST_NAMED]:
            if not (word in words.FUNCTION_WORDS or word in words.CHANGES | words.NEGATIONS):
                yield classed(word)[0]


def _share(named: frozenset[str], older: Reading) -> float:
    """Return which share of what is said to be changed an older text speaks of."""
    if not named:
        return 0.0
    parts = {
        classed(part)[0]
        for compound in _COMPOUNDS.findall(older.text.lower())
        for part in compound.split("-")
    }
    return len(named & (older.said | parts)) / len(named)
