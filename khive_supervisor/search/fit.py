"""How well an entry fits a query, 0 to 1, on a scale that means the same for every query: pure.

The score of the fusion orders the results of one query and says nothing across queries: somebody is
always first. The fit asks another question: are these as near to each other as a question and its
answer are, or as near as anything is to anything? It is a logistic function of what both arms know:

    fit = 1 / (1 + exp(-(constant + sum of weight * feature)))

of the entry's cosine and the share of the query's idf that its words cover, of the best that the
store has of both (where one thing fits, its neighbours are likelier to), of how far the best cosine
stands out, of the words of the query and of the entries searched (the best of many strangers is
nearer than the best of few), and of the weight that the fusion gives to meaning. What the store has
of the best lifts what is near to it, and only that: no entry fits better than what it has itself,

    most = 1 / (1 + exp(-OWN_STEEPNESS * (cosine + COVERED * coverage - OWN)))

0.5 is where the default floor lies. How the weights were fitted, on what, and what they are worth
on what they have not seen: docs/adr/0033-honest-score.md; `scripts/bench --only silence` measures
it again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from khive_supervisor.text.analysis import STOP_WORDS, folded

#: Cosines behind the best that it is compared with, and what stands for those of a small store: so
#: near are texts of different subjects to each other, for the bundled model.
FOLLOWERS, BACKGROUND, BACKGROUND_WEIGHT = 19, 0.1, 4
#: Times that a repeated word of a query counts.
MOST_REPEATED = 2
#: Entries that a store is taken to have at least, for what its words are worth.
FEWEST_ENTRIES = 100
#: What has all words of a query fits at least so well, if one of them is rare, or no more is known.
COMPLETE = 0.8
#: The share of the entries, and the entries, that have a rare word at most.
RARE_SHARE, RARE_ENTRIES = 0.01, 3
#: What has the names of a query that is mostly names fits at least so well, and the logit that a
#: name adds to the others' fit, in proportion to its share of the query.
NAMED, NAMED_SHARE, NAMED_LOGIT = 0.9, 0.49, 4.0
#: The same share for what else would be small talk.
NAMED_TALK = 0.75
#: What an entry has to have itself, as a cosine, to fit 0.5 at most; what words that it covers
#: count beside that; and how steeply more of both allows more.
OWN, COVERED, OWN_STEEPNESS = 0.25, 0.4, 25.0
#: What small talk takes from a logit: nothing fits it.
_SMALL_TALK_LOGIT = 9.0

#: The constant and the weights of the features; of what has a cosine, and of what has none.
WITH_MEANING: Mapping[str, float] = MappingProxyType(
    {
        "constant": -5.904,
        "cosine": 11.771,
        "coverage_words": 1.249,
        "words": -0.451,
        "words_squared": 0.029,
        "entries": -1.042,
        "best_cosine": 14.279,
        "best_coverage": -1.593,
        "best_coverage_words": 1.856,
        "stands_out": -0.715,
        "meaning_weight": 0.875,
        "meaning_weight_words": -0.500,
        "lexical_coverage_words": 2.769,
    }
)
BY_WORDS: Mapping[str, float] = MappingProxyType(
    {
        "constant": -1.955,
        "coverage_words": 1.045,
        "words": 0.193,
        "entries": -0.403,
        "best_coverage_words": 5.446,
    }
)

#: Words of a talk that ask a memory for nothing.
_SMALL_TALK = """
    ah aha absolutely agree agreed ahead alright amazing anything anyway awesome aye bye
    certainly cheers continue cool correct definitely done else exactly excellent fine finish
    finished go going good goodbye got great ha hello help hey hi hm hmm hmmm how idea keep kind
    know later lgtm like looks lovely made makes maybe mean mind more morning much need never
    nevermind nice no nope ok okay oops perfect perfectly please pls proceed ready really right
    said say see sense sounds still stop super sure tell thank thanks thx thing think time today
    tomorrow true try understand understood undo wait want way well what whatever why wonderful
    work works worry wow wrong ya yeah yep yes yet yup explain summarize summarise again bitte
    danke genau gut ja klar mach machen nein weiter weitermachen bien continuer gracias merci
    oui por favor si vale va
"""
SMALL_TALK = frozenset(_SMALL_TALK.split())
#: Characters of the longest small talk.
LONGEST_TALK = 80
_WORD = re.compile(r"[^\W_]+")
#: Of these, what may well be asked for when it stands alone.
_ALONE_A_NAME = frozenset(("go", "help", "idea", "thing", "time", "today", "work", "sense", "mind"))


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What is known of a query and of what was searched for it.

    Attributes:
        words: terms of the query that were looked up.
        entries: how many were searched.
        cosines: of the nearest entries, best first; empty where nothing is known of meaning.
        meaning_weight: of the vector arm in the fusion, 0..1.
        best_coverage: the most that any of the first results covers.
        small_talk: it asks for nothing.
    """

    words: int
    entries: int
    cosines: Sequence[float] = ()
    meaning_weight: float = 0.0
    best_coverage: float = 0.0
    small_talk: bool = False


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What is known of an entry for a query.

    Attributes:
        cosine: None if it has no vector, or the query has none.
        coverage: the share of the query's idf that its words cover, 0..1.
        complete: it has all words of the query, and `rare`: one of them is rare.
        names: what it has of the query's names, times their share of the query, 0..1.
    """

    cosine: float | None
    coverage: float
    complete: bool = False
    rare: bool = False
    names: float = 0.0


def features(entry: EntryFacts, query: QueryFacts) -> dict[str, float]:
    """Return the features that the weights are for, by name."""
    words = math.log1p(query.words)
    best = query.cosines[0] if query.cosines else 0.0
    lexical = 1.0 - query.meaning_weight
    return {
        "constant": 1.0,
        "cosine": entry.cosine or 0.0,
        "coverage_words": entry.coverage * words,
        "words": words,
        "words_squared": words * words,
        "entries": math.log(max(query.entries, 1)),
        "best_cosine": best,
        "best_coverage": query.best_coverage,
        "best_coverage_words": query.best_coverage * words,
        "stands_out": best - _background(query.cosines),
        "meaning_weight": query.meaning_weight,
        "meaning_weight_words": query.meaning_weight * words,
        "lexical_coverage_words": lexical * query.best_coverage * words,
    }


def fit(entry: EntryFacts, query: QueryFacts, meaning: Mapping[str, float] = WITH_MEANING) -> float:
    """Return how well an entry fits a query: 0 to 1, 0.5 being where the default floor lies.

    `meaning` has the weights for what has a cosine.
    """
    known = features(entry, query)
    weights = BY_WORDS if entry.cosine is None else meaning
    logit = sum(weight * known[name] for name, weight in weights.items())
    logit += NAMED_LOGIT * entry.names
    if query.small_talk:
        logit -= _SMALL_TALK_LOGIT
    found = min(_logistic(logit), _most(entry))
    return max(found, _least(entry, query))


def _most(entry: EntryFacts) -> float:
    """Return the best fit of an entry, whatever else the store has."""
    if entry.cosine is None:
        return 1.0
    return _logistic(OWN_STEEPNESS * (entry.cosine + COVERED * entry.coverage - OWN))


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(logit, -50.0), 50.0)))


def _least(entry: EntryFacts, query: QueryFacts) -> float:
    """Return the fit of what is in an entry as it was asked for, whatever else is known.

    A name may be made of words of small talk (`--wait`). A plain word that is asked for alone
    counts as one by half, which is not enough there.
    """
    if entry.names >= (NAMED_TALK if query.small_talk else NAMED_SHARE):
        return NAMED
    if entry.complete and not query.small_talk and (entry.rare or entry.cosine is None):
        return COMPLETE
    return 0.0


def _background(cosines: Sequence[float]) -> float:
    """Return how near what follows the best is, as far as there is enough of it to tell."""
    rest = cosines[1 : 1 + FOLLOWERS]
    return (sum(rest) + BACKGROUND * BACKGROUND_WEIGHT) / (len(rest) + BACKGROUND_WEIGHT)


def word_weight(frequency: int, entries: int) -> float:
    """Return what a word of a query counts for coverage: ln(1 + (N - n + 1/2) / (n + 1/2)).

    A few entries say little of how common a word is: N is `FEWEST_ENTRIES` at least.
    """
    known = max(entries, FEWEST_ENTRIES)
    return math.log1p((max(known - frequency, 0) + 0.5) / (frequency + 0.5))


def is_rare(frequency: int, entries: int) -> bool:
    """Return True for a word that some entries have, and few."""
    return 0 < frequency <= max(RARE_ENTRIES, RARE_SHARE * entries)


def is_small_talk(query: str) -> bool:
    """Return True for a query that asks for nothing: "continue", "yes please"."""
    words = _WORD.findall(folded(query[:LONGEST_TALK]))
    if len(query) > LONGEST_TALK or not words:
        return False
    if len(words) == 1:
        return words[0] in SMALL_TALK - _ALONE_A_NAME
    return not SMALL_TALK.isdisjoint(words) and SMALL_TALK.union(STOP_WORDS).issuperset(words)
