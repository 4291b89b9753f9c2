"""Those sentences of a long entry that answer a prompt, within a number of tokens; pure.

A chat, a piece of a document or the message of a commit is too long to be put into a context for
one fact in it. A sentence is worth the more the more rare words it shares with the prompt, if it
says how something is to be ("always", "from now on", "we decided"), and if it has what cannot be
said otherwise: figures, and names of code. What stands beside such a sentence shares in its worth.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.sentences import Utterance, utterances
from khive_supervisor.text.analysis import STOP_WORDS
from khive_supervisor.truth.reading import stemmed
from khive_supervisor.truth.words import NUMBER_WORDS, WEAK

#: What is written between sentences that do not stand side by side.
GAP = " … "
#: Sentences worth less than this share of the best one are left out, though there is room.
WORTH = 0.1
#: What each sign adds to a sentence: the prompt's words (all of them), a rule, literals, a user.
_ANSWERS, _RULES, _LITERALS, _BY_USER = 1.0, 0.8, 0.8, 0.1
#: What lines of a session's digest add that say what was decided, or put it all together.
_CAPTURED = {"decided": 0.5, "settled": 1.0}
#: What is left of the worth of what a session began with: who asks for it says that already.
_ASKED = 0.4
#: What a sentence has of the worth of those beside it, and of its own if it asks.
_BESIDE, _QUESTION = 0.25, 0.5
#: From which worth of its own on a sentence has all of what its neighbours give it.
_SIGN = 0.3
#: Literals from which on more add nothing.
_ENOUGH_LITERALS = 2.0
#: What an abbreviation in capitals counts as one.
_ACRONYM = 0.3
#: How much the length of a sentence counts against its worth, when those are chosen that fit.
_LENGTH = 0.3
#: Sentences that are tried again at the end, the best that did not fit.
_TRIED_AGAIN = 8
#: Words that two texts share without being about the same.
_SAY_NOTHING = STOP_WORDS | NUMBER_WORDS.keys() | WEAK
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]+|\d+")
_FIRM = re.compile(
    r"\b(?:from now on|going forward|henceforth|as of (?:today|now)|we(?:'ve| have)? (?:decided|"
    r"agreed|settled|chose|landed)|decided|decision|agreed|policy|rule|convention|standard is|"
    r"always|never|must(?:n't)?|shall|required?|forbidden|not allowed|only ever|no longer|"
    r"instead of|rather than|at (?:most|least)|no (?:more|less|fewer) than|exactly|"
    r"make (?:it|that|sure)|let'?s (?:go|use|keep|make|do|stick|set|say)|go with|stick (?:to|with)|"
    r"settle[sd]? on|final|amend\w*|correction|changed? (?:it |this |that )?to|lower\w* to|"
    r"rais\w+ to|bump\w* to|capped?|limit\w*|default\w*|the (?:reason|point) is)\b",
    re.IGNORECASE,
)
_SOFT = re.compile(
    r"\b(?:should(?:n't)?|has to|have to|needs? to|want|prefer|now|kept|because|since|so that|"
    r"unless|except|only|every|each|any|all|don'?t|do not|use|keep|avoid|remember|note|"
    r"important)\b",
    re.IGNORECASE,
)
_LITERAL = re.compile(
    r"`[^`\n]+`|\"[^\"\n]{1,60}\"|'[^'\n]{2,40}'(?!\w)"
    r"|\b\d[\d.,:_/-]*(?:\s?(?:ms|s|sec|seconds?|minutes?|hours?|days?|weeks?|%|[KMG]i?B))?"
    r"|\b[\w-]+(?:[./_=]|::)[\w./:=-]*\w|\b\w+[=/](?!\w)|[\[({][\])}]"
    r"|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|(?<![\w.])\.[a-z]\w+|\b[a-z]+[A-Z]\w*\b|\B--?[a-z][\w-]+"
)
_CAPITALS = re.compile(r"\b[A-Z][A-Z0-9]{2,}\b")


def answering(text: str, query: str, budget: int) -> str:
    """Return the sentences of a text that answer a query, in their order, gaps marked.

    Args:
        text: an entry's content, of any length.
        query: a prompt, an error, or what a session is about; empty: what the text itself settles.
        budget: the most tokens that the answer may have, by `tokens.bound`.

    Returns:
        The whole text where it fits; empty if not one sentence fits.
    """
    if tokens.bound(text) <= budget:
        return text.strip()
    found = utterances(text)
    worth = _worth(found, query)
    order, costs = _order(found, worth)
    chosen = _chosen(order, costs, budget)
    for place in [one for one in order if one not in chosen][:_TRIED_AGAIN]:
        chosen = _with(place, chosen, found, worth, budget)
    return _joined(found, chosen)


def decides(text: str) -> bool:
    """Return True if a text says how something is to be, as rules and decisions do."""
    return _FIRM.search(text) is not None


def _worth(found: Sequence[Utterance], query: str) -> list[float]:
    """Return what each sentence is worth for a query, from its own signs and its neighbours'."""
    asked = _terms(query)
    held = [_terms(one.text) for one in found]
    rarity = _rarity(held)
    shared = [sum(rarity[term] for term in terms & asked) for terms in held]
    most = max(shared, default=0.0) or 1.0
    own = [_own(one, part / most) for one, part in zip(found, shared, strict=True)]
    return [
        worth + _BESIDE * max(_at(own, n - 1), _at(own, n + 1)) * min(1.0, worth / _SIGN)
        for n, worth in enumerate(own)
    ]


def _at(values: Sequence[float], place: int) -> float:
    return values[place] if 0 <= place < len(values) else 0.0


def _own(one: Utterance, answers: float) -> float:
    capitals = len(_CAPITALS.findall(one.text))
    literals = len(_LITERAL.findall(one.text)) + _ACRONYM * capitals
    worth = _ANSWERS * answers + _RULES * _firmness(one.text)
    worth += _LITERALS * min(literals, _ENOUGH_LITERALS) / _ENOUGH_LITERALS
    worth += _BY_USER * one.users if worth else 0.0
    worth = worth * _ASKED if one.speaker == "asked" else worth + _CAPTURED.get(one.speaker, 0.0)
    return worth * (_QUESTION if one.text.rstrip("\"')*`").endswith("?") else 1.0)


def _firmness(text: str) -> float:
    """Return how firmly a sentence says how something is to be, 0 to 1."""
    firm, soft = len(_FIRM.findall(text)), len(_SOFT.findall(text))
    return min(1.0, 0.6 * min(firm, 2) + 0.2 * min(soft, 2))


def _terms(text: str) -> frozenset[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(stemmed(word) for word in words if word not in _SAY_NOTHING)


def _rarity(held: Sequence[frozenset[str]]) -> Mapping[str, float]:
    """Return what a word is worth by how few of the sentences have it."""
    counts = Counter(term for terms in held for term in terms)
    return {term: math.log(1 + len(held) / count) for term, count in counts.items()}


def _order(
    found: Sequence[Utterance], worth: Sequence[float]
) -> tuple[list[int], Mapping[int, int]]:
    """Return the places of what is worth anything, the best for its length first, and the costs."""
    least = WORTH * max(worth, default=0.0)
    gap = tokens.bound(GAP)
    costs = {n: tokens.bound(one.text) + gap for n, one in enumerate(found) if worth[n] > 0}
    good = [n for n in costs if worth[n] >= least]
    return sorted(good, key=lambda n: (-worth[n] / costs[n] ** _LENGTH, n)), costs


def _chosen(order: Sequence[int], costs: Mapping[int, int], budget: int) -> set[int]:
    """Return the places of the first that fit together."""
    chosen: set[int] = set()
    for place in order:
        if costs[place] <= budget:
            chosen.add(place)
            budget -= costs[place]
    return chosen


def _with(
    place: int,
    chosen: set[int],
    found: Sequence[Utterance],
    worth: Sequence[float],
    budget: int,
) -> set[int]:
    """Return the choice with one more sentence, or with it in the place of one that is worth less.

    Beside another one a sentence needs no gap: there may be room after all.
    """
    less = sorted((one for one in chosen if worth[one] < worth[place]), key=lambda n: worth[n])
    for instead_of in ((), *((one,) for one in less)):
        candidate = chosen.difference(instead_of) | {place}
        if tokens.bound(_joined(found, candidate)) <= budget:
            return candidate
    return chosen


def _joined(found: Sequence[Utterance], chosen: Collection[int]) -> str:
    text = ""
    before = -1
    for one in (found[place] for place in sorted(chosen)):
        beside = one.place == before + 1
        ended = text[-1:] in ".!?:;,"
        text += "" if not text else GAP if not beside else " " if ended or one.joined else "; "
        text += one.text
        before = one.place
    return text
