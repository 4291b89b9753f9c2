"""Whether a newer text says the same as an older one, or otherwise: rules, in order; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from khive_supervisor.truth import words
from khive_supervisor.truth.amending import Worth, amends, evenly, share_of_words
from khive_supervisor.truth.reading import Reading, Sentence, classed, stemmed

#: What a comparison finds.
SAME, OTHERWISE, NEAR = "same", "otherwise", "near"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two texts are to each other, and why, in a few words; `NEAR` is only worth a look."""

    kind: str
    why: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two statements: what both say, and what only the newer or the older one does."""

    new: Sentence
    old: Sentence
    cosine: float | None
    shared: frozenset[str]
    only_new: frozenset[str]
    only_old: frozenset[str]
    rest_new: frozenset[str]
    rest_old: frozenset[str]
    weight: float

    @property
    def cover(self) -> float:
        """Return which part of the shorter statement the other one says, too."""
        shorter = min(len(self.new.said), len(self.old.said))
        return len(self.shared) / shorter if shorter else 0.0

    def near(self, least: float) -> bool:
        """Return False if the model knows both and finds them further apart than that."""
        return self.cosine is None or self.cosine >= least


#: Texts that are known to be further apart than that do not say otherwise, by any rule.
OTHERWISE_COSINE = 0.45
#: Conversations that share less of their words are not about one thing, whatever two sentences say.
ONE_THING = 0.2

_PASSING = frozenset(map(stemmed, words.WEAK)) | {"us"}
_WEAK = _PASSING | frozenset(map(stemmed, words.COMMON))
_UNITS = frozenset(map(stemmed, words.UNITS))


def compare(
    newer: Reading, older: Reading, cosine: float | None = None, worth: Worth = evenly
) -> Comparison | None:
    """Return what a newer text is to an older one; `cosine` is of their vectors, if there are any.

    `worth` tells what words are worth that both have, where one amends what was said before.

    None: nothing that these rules could tell. Long texts are only compared as a whole.
    """
    same: Comparison | None = None
    for pair in _pairs(newer, older, cosine):
        why = _otherwise(pair)
        if why and not rivals(newer, older) and _about_one_thing(newer, older, worth):
            return Comparison(OTHERWISE, f"may say otherwise: {why}")
        same = same or _alike(pair)
    if amends(newer, older, cosine, worth):
        return Comparison(OTHERWISE, "may say otherwise: it amends what was said before")
    alone = len(newer.statements) == len(older.statements) == 1
    if same and same.kind == SAME and alone:
        return same
    return same and Comparison(NEAR, "is about the same")


def _about_one_thing(newer: Reading, older: Reading, worth: Worth) -> bool:
    """Return False for conversations of which only single sentences are alike."""
    if not (newer.spoken and older.spoken):
        return True
    return share_of_words(newer, older, worth) >= ONE_THING


def rivals(newer: Reading, older: Reading) -> bool:
    """Return True if two texts are about different things of one kind, by their form."""
    return any(
        _parallel(new, old)
        or (not new.scopes.keys().isdisjoint(old.scopes) and _rivals(_pair(new, old, None)))
        for new in newer.statements
        for old in older.statements
    )


def _pairs(newer: Reading, older: Reading, cosine: float | None) -> Iterator[_Pair]:
    """Yield the pairs of statements that any rule could tell something of."""
    for new in newer.statements:
        for old in older.statements:
            if _weight(new, old) >= LEAST_WEIGHT or _by_place(new, old):
                yield _pair(new, old, cosine)


def _weight(new: Sentence, old: Sentence) -> float:
    """Return what the words that both have are worth, values left out."""
    shared = new.said.keys() & old.said.keys()
    return sum(0.5 if one in _WEAK else 1.0 for one in shared if one not in new.values)


def _by_place(new: Sentence, old: Sentence) -> bool:
    """Return True if a rule may go by a single word: what is gone, or what both begin with."""
    return new.order[0] in old.order[:2] or not new.retired.isdisjoint(old.said)


#: What two statements must share, unless a rule goes by a single word.
LEAST_WEIGHT = 1.0


def _pair(new: Sentence, old: Sentence, cosine: float | None) -> _Pair:
    shared = frozenset(new.said.keys() & old.said.keys())
    only_new = frozenset(new.said.keys() - shared)
    only_old = frozenset(old.said.keys() - shared)
    return _Pair(
        new, old, cosine, shared, only_new, only_old,
        _rest(only_new, new), _rest(only_old, old),
        _weight(new, old),
    )  # fmt: skip


def _rest(only: frozenset[str], of: Sentence) -> frozenset[str]:
    """What is left of a difference when values and words that say little are taken away."""
    return frozenset(
        one for one in only if one not in of.values and one not in _PASSING and one not in _UNITS
    )


def _rivals(pair: _Pair) -> bool:
    """Return True if the two are about different things of one kind: two services, two clients."""
    for word, theirs in pair.old.scopes.items():
        ours = pair.new.scopes.get(word, frozenset())
        new, old = ours & pair.rest_new, theirs & pair.rest_old
        if new and old and (not ours & theirs or (_named(new, pair.new) and _named(old, pair.old))):
            return True
    return False


def _named(some: Iterable[str], of: Sentence) -> bool:
    """Return True if one of the words is a name by its signs: "flag fast_sort"."""
    return any(not of.said[one].isalpha() and one not in of.values for one in some)


def _parallel(newer: Sentence, older: Sentence) -> bool:
    """Return True if both say something of their own of a thing of their own, in equal words.

    "Ada wants tabs" and "Bob wants blanks"; "node 3 has 8 cores" and "node 4 has 16 cores".
    """
    if len(newer.order) != len(older.order):
        return False
    apart = [(a, b) for a, b in zip(newer.order, older.order, strict=True) if a != b]
    first = newer.order.index(apart[0][0]) if apart else 0
    turned = newer.negations % 2 != older.negations % 2
    if len(apart) + turned < 2 or first > 1:
        return False
    new, old = apart[0]
    if new in older.said or old in newer.said:
        return False
    classes = (newer.values.get(new), older.values.get(old))
    if len(apart) == 1:  # "GET calls are retried", "PUT calls are never retried"
        return first == 0 and classes == (None, None)
    if len(apart) == 2 and first == 1 and tuple(sorted(apart[1])) in _TURNED:
        return classes == (None, None)  # "the name is required", "the phone is optional"
    if newer.order[first + 1 : first + 2] == apart[1][:1]:
        return False
    named = first == 0 or (_is_name(newer.said[new]) and _is_name(older.said[old]))
    return (named and classes == (None, None)) or (first == 1 and classes == ("number", "number"))


def _otherwise(pair: _Pair) -> str:
    """Return why the newer statement may say otherwise; empty if no rule says so."""
    return next(filter(None, (rule(pair) for rule in _RULES)), "")


def _alike(pair: _Pair) -> Comparison | None:
    if _same(pair):
        return Comparison(SAME, "says nearly the same")
    if pair.weight >= NEAR_WEIGHT and (
        pair.cover >= NEAR_COVER or (pair.cosine or 0) >= NEAR_COSINE
    ):
        return Comparison(NEAR, "is about the same")
    return None


NEAR_WEIGHT, NEAR_COVER, NEAR_COSINE = 1.0, 0.67, 0.65


def _same(pair: _Pair) -> bool:
    if pair.new.negations % 2 != pair.old.negations % 2:
        return False
    if _values_differ(pair) or pair.weight < 1.0:
        return False
    if not pair.rest_new and not pair.rest_old:
        return True
    if pair.rest_new and pair.rest_old:
        return False
    return (pair.cosine or 0.0) >= SAME_COSINE and pair.cover >= SAME_COVER


SAME_COSINE, SAME_COVER = 0.9, 0.6


def _values_differ(pair: _Pair) -> bool:
    return any(one in pair.new.values for one in pair.only_new) or any(
        one in pair.old.values for one in pair.only_old
    )


def _change(pair: _Pair, old: Iterable[str], new: Iterable[str]) -> str:
    before, after = _written(pair.old, old), _written(pair.new, new)
    return f"{before} -> {after}"


def _written(statement: Sentence, which: Iterable[str]) -> str:
    """Return words of a statement as they are written there, in its order."""
    wanted = set(which)
    signs = (statement.said[one].strip(".,:-") for one in statement.order if one in wanted)
    return " ".join(dict.fromkeys(signs))[:60]


def _value(pair: _Pair) -> str:
    """Another amount, date or place for the same thing."""
    kinds = {pair.new.values[one] for one in pair.only_new if one in pair.new.values} & {
        pair.old.values[one] for one in pair.only_old if one in pair.old.values
    }
    if not kinds or not _one_subject(pair, most=4) or not pair.near(OTHERWISE_COSINE):
        return ""
    equal = not pair.rest_new and not pair.rest_old
    if not equal and bool(pair.only_new & _UNITS) != bool(pair.only_old & _UNITS):
        return ""  # an amount of another thing: "takes 18 minutes", "needs Xcode 15"
    if pair.weight < (1.0 if pair.new.changes or equal else 1.5):
        return ""
    old = [one for one in pair.only_old if pair.old.values.get(one) in kinds]
    new = [one for one in pair.only_new if pair.new.values.get(one) in kinds]
    return _change(pair, old, new)


def _one_subject(pair: _Pair, most: int) -> bool:
    """Return True if what only one of them says need not be another subject."""
    fewer, more = sorted((len(pair.rest_new), len(pair.rest_old)))
    if fewer and not (pair.new.changes and fewer == 1 and more <= 2 and pair.near(0.6)):
        return False
    return more <= (2 * most if pair.new.changes else most)


def _word(pair: _Pair) -> str:
    """Another name in the same place of an otherwise equal statement."""
    fewer, more = sorted((len(pair.rest_new), len(pair.rest_old)))
    if fewer != 1 or more > 2 or pair.weight < 1.5 or not pair.near(OTHERWISE_COSINE):
        return ""
    if _both_values(pair) or pair.cover < 0.5:
        return ""
    if pair.new.negations % 2 != pair.old.negations % 2:
        return ""
    new = {pair.new.slots[one] for one in pair.rest_new & pair.new.slots.keys()}
    old = {pair.old.slots[one] for one in pair.rest_old & pair.old.slots.keys()}
    if not new or not old or _says_what(new, old) or _says_what(old, new):
        return ""
    if not (_last(pair) or (_first(pair) and _names(pair))):
        return ""
    return _change(pair, pair.rest_old, pair.rest_new)


def _says_what(some: AbstractSet[str], others: AbstractSet[str]) -> bool:
    """Return True if only the first says what something is: "is static", "is served by Netlify"."""
    return some <= _COPULAS and others <= _PREPOSITIONS


_COPULAS = frozenset(("is", "are", "was", "were"))
_PREPOSITIONS = frozenset(("with", "by", "in", "on", "at", "to", "as", "from", "of", "through"))


def _both_values(pair: _Pair) -> bool:
    """Return True if each has a value that the other one does not have."""
    return any(one in pair.new.values for one in pair.only_new) and any(
        one in pair.old.values for one in pair.only_old
    )


def _last(pair: _Pair) -> bool:
    """Return True if the words that differ stand at the end of both, and not at the beginning."""
    if _first(pair):
        return False
    new, old = {*pair.new.order[-2:]}, {*pair.old.order[-2:]}
    return bool(new & pair.rest_new and old & pair.rest_old)


def _first(pair: _Pair) -> bool:
    """Return True if both begin with the words that differ."""
    return pair.new.order[0] in pair.rest_new and pair.old.order[0] in pair.rest_old


def _names(pair: _Pair) -> bool:
    """Return True if what both begin with is somebody's name, as far as its form tells."""
    first = (pair.new.said[pair.new.order[0]], pair.old.said[pair.old.order[0]])
    return all(one.istitle() and one.isalpha() for one in first)


def _opposite(pair: _Pair) -> str:
    """The opposite word."""
    if pair.weight < 1.0 or pair.cover < 0.5 or not pair.near(0.5) or _both_values(pair):
        return ""
    if min(len(pair.rest_new), len(pair.rest_old)) > 2:
        return ""
    for one, other in _OPPOSITES:
        for old, new in ((one, other), (other, one)):
            if old in pair.only_old and new in pair.only_new:
                return f"{pair.old.said[old]} -> {pair.new.said[new]}"
    return ""


_OPPOSITES = [
    (a, b)
    for pair in words.OPPOSITES
    for a, b in [(classed(pair[0])[0], classed(pair[1])[0])]
    if a != b
]
_TURNED = frozenset(tuple(sorted(pair)) for pair in _OPPOSITES)


def _negated(pair: _Pair) -> str:
    """The same with a "not" in one of them."""
    if pair.new.negations % 2 == pair.old.negations % 2 or pair.weight < 1.5:
        return ""
    if pair.cover < 0.6 or not _one_subject(pair, most=2) or not pair.near(0.5):
        return ""
    if _values_differ(pair):
        return ""
    return "one of them says not"


def _gone(pair: _Pair) -> str:
    """What the older one speaks of is said to be no more."""
    gone = pair.new.retired & pair.old.said.keys()
    if not gone or not pair.near(OTHERWISE_COSINE):
        return ""
    rest = sum(0.5 if one in _WEAK else 1.0 for one in pair.shared - gone)
    if rest >= 1.0 and pair.cover >= 0.4:
        return f"no longer {_written(pair.old, gone)}"
    named = {pair.old.order[0], *(pair.old.slots.keys() & {pair.old.order[-1]})}
    if named & gone or any(_is_name(pair.new.said.get(one, "")) for one in gone):
        return f"no longer {_written(pair.old, gone)}"
    return ""


def _is_name(token: str) -> bool:
    """Return True for a word that names one thing, as far as its form tells."""
    return not token.islower() or not token.isalpha()


def _state(pair: _Pair) -> str:
    """The same subject, of which the newer one says that it has changed, and what it is now."""
    if not pair.new.event or not pair.near(OTHERWISE_COSINE):
        return ""
    if pair.new.order[0] != pair.old.order[0]:
        return ""
    if _values_differ(pair) or not (pair.rest_new and pair.rest_old):
        return ""
    if len(pair.rest_old) > 2 or not pair.rest_old & pair.old.slots.keys():
        return ""
    return _change(pair, pair.rest_old, pair.rest_new)


def _amount(pair: _Pair) -> str:
    """Another number of the same unit for what both begin with."""
    if pair.cosine is None or pair.cosine < 0.7 or pair.new.order[0] not in pair.old.order[:2]:
        return ""
    new = [one for one in pair.only_new if pair.new.values.get(one) == "number"]
    old = [one for one in pair.only_old if pair.old.values.get(one) == "number"]
    if len(new) != 1 or len(old) != 1 or not pair.shared & _UNITS:
        return ""
    return _change(pair, old, new)


def _turned(pair: _Pair) -> str:
    """The same two things the other way round: a over b, b over a."""
    turned = {(b, a) for a, b in pair.new.compared} & pair.old.compared
    near = pair.weight >= 1.0 and pair.near(OTHERWISE_COSINE)
    return "the other way round" if turned and near else ""


_RULES: tuple[Callable[[_Pair], str], ...] = (
    _gone, _opposite, _value, _turned, _negated, _word, _state, _amount,
)  # fmt: skip
