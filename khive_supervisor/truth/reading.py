"""A text as the rules read it: statements of words, values and signs of change; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from khive_supervisor.truth import words

#: What is read of a text: characters, and statements.
LONGEST, MOST_STATEMENTS = 4000, 6

#: Words of which it is remembered how they are read: texts that are compared share most of theirs.
REMEMBERED = 2048
#: Texts of which it is remembered which words they have: the results of one answer.
REMEMBERED_TEXTS = 32

#: Characters of a text whose statements are compared one by one; of a longer one only its words.
SHORT = 600

_TOKEN = re.compile(
    r"(?:https?://|~/|\.{0,2}/)[^\s,;()\"'`]*[\w/]"  # an address or a path
    r"|[A-Za-z_][\w.+#:/-]*\w(?:'(?:s|t))?"  # a word or a name
    r"|v?\d[\d.,:_-]*(?:[a-zA-Z%]{1,3}\b)?"  # a number, date, time or version
    r"|\w"
)
_ENDS = re.compile(r"(?<=[.!?;])\s+|\n+")
_NUMBER = re.compile(r"v?(\d[\d.,:_-]*\d|\d)([a-zA-Z%]{0,3})")
#: "dropped Redis", "Stripe instead of Adyen": what comes after is gone.
_AFTER = (
    r"\b(?:instead of|rather than|no longer|not (?:as|in|by|on|with|from)|(?:took|taken|takes) over"
    r" [^.]{0,40}?from|(?:moved?|switched|migrated|converted|transitioned|ported|graduated)"
    r" (?:[\w-]+ ){0,3}?(?:off|from)|away from|changed? [^.]{0,40}?from|renam(?:ed|es|ing)"
    r"|replac(?:es|ed|ing)|dropped|abandoned|ditched|removed|retired|deprecated"
    r"|supersed\w+(?: the)?|stopped using|got rid of|(?:decided|voted|chose) against)\s+"
    r"(?P<after>[^,.;]{1,60}?)(?=$|[,.;)]|\s(?:to|with|by|in favou?r|for)\b)"
)
#: "Redis is gone", "Anna left": what comes before is.
_BEFORE = (
    r"(?P<before>[\w./ -]{2,40}?)\s+(?:(?:is|are|was|were|has|have|had|got|gets)\s+)"
    r"(?:been\s+|now\s+|finally\s+|fully\s+)*"
    r"(?:gone|no\smore(?=[,.;]|$)|(?:switched|turned|phased)\s(?:off|out)|shut\sdown|deprecated|dropped|removed|retired"
    r"|replaced|renamed|obsolete|dead|discontinued|decommissioned|ended|expired|left"
    r"|superseded|merged\sinto|swapped\s(?:for|out)|moved to another"
    r"|(?:called|known as|exported as|named)"
    r"(?=[^.;]*\b(?:now|these days|from now)))\b"
    r"(?!\s(?:after|every|each|when(?:ever)?|once|if|daily|hourly|nightly|weekly|automatically)\b)"
    r"|(?P<renamed>[\w./-]{2,40})\s+(?:is|are)\s+now\s+(?:simply\s+|just\s+)?"
    r"(?:called|named|known as)\b"
    r"|(?P<turned>[\w-]*[./_-][\w./-]*)\s+became\b"
    r"|(?P<ended>[\w./-]{2,40})\s+"
    r"(?:(?:does|do)(?: not|n't) exist|exists? no|(?:was|were) torn down)\b"
    r"|(?:^|[.;,]\s)(?P<who>[A-Z]\w+) (?:left|quit|moved to another|has moved to another)\b"
)
_NAMED_BEFORE = ("before", "renamed", "turned", "ended", "who")
_RETIRED_AFTER = re.compile(_AFTER, re.IGNORECASE)
_RETIRED = re.compile(f"{_AFTER}|{_BEFORE}", re.IGNORECASE)
#: Without one of these there is nothing to find, which the expressions take long to say.
_SIGNS_AFTER = (
    "instead", "rather", "longer", "not ", "off", "from", "against", "abandoned", "ditched",
    "stopped", "got rid", "renam", "replac", "dropped", "removed", "retired", "deprecated",
    "supersed",
)  # fmt: skip
_SIGNS_BEFORE = (
    "gone", "switched", "turned", "phased", "shut", "deprecated", "dropped", "removed", "retired",
    "replaced", "renamed", "obsolete", "dead", "discontinued", "decommissioned", "ended", "expired",
    "left", "superseded", "merged", "swapped", "moved to", "called", "known", "exported", "named",
    "quit", "became", "exist", "torn", "no more",
)  # fmt: skip
_AMENDS = re.compile(
    r"\b(?:amend(?:s|ed|ing|ment)?|supersed\w+|"
    r"(?:updates?|changes?|revisions?|corrections?) to (?:the|our) (?:[\w-]+ ){0,3}"
    r"(?:policy|policies|decisions?|rules?|agreement|convention)|"
    r"(?:changed|revised|reversed|overruled|corrected) (?:the|our) (?:[\w-]+ ){0,3}"
    r"(?:policy|decisions?|rules?|convention)|"
    r"(?:policy|decision|rule|convention) (?:is|was|has been) (?:changed|revised|different)|"
    r"from now on|henceforth|going forward|changed (?:our|my|their) minds?|overruled?|"
    r"as of (?:v?\d[\d.]*|version|release|migration|" + "|".join(words.SEASONS) + r"))\b",
    re.IGNORECASE,
)
#: Without one of these a text amends nothing, which the expression takes long to say.
_SIGNS_AMENDING = (
    "amend", "supersed", "updat", "chang", "revis", "correct", "revers", "overrul", "different",
    "now on", "henceforth", "forward", "as of",
)  # fmt: skip
#: A statement without a subject of its own, or about what somebody does just now.
_PASSING = re.compile(
    r"^\W*(?:it|this|that|these|those|they|he|she|there|here)\b"
    r"|\bI(?:'(?:ll|m|ve|d))?\b|\b(?:let's|let me|let us)\b",
    re.IGNORECASE,
)
_CODE = re.compile(r"[(){}\[\]=<>|\\\"`$]")
#: Signs of code that prose may have, and words of a statement that is compared.
MOST_SIGNS, MOST_WORDS = 5, 18

#: Who speaks, at the beginning of a line of a conversation.
_SPEAKERS = re.compile(r"^(?:user|assistant|human|agent|ai): ", re.IGNORECASE | re.MULTILINE)

#: One thing put before another one.
_COMPARED = re.compile(
    r"(?=\b([\w-]+)\s+(?:before|over|rather than|instead of|not|than|to)\s+([\w-]+))", re.IGNORECASE
)
#: The language, where it is no verb.
_GO = re.compile(r"(?<=[\w,:] )Go\b")
#: Letters of a function word that is a name where it is written in capitals.
_LENGTHS_OF_NAMES = (2, 3)
#: What leads to something that narrows; and of these, what leads to whose or what for it is.
_PLACES, _WHOSE = ("for", "of", "in", "on", "at", "with"), ("for", "of")
_SWITCHED = ("turned", "switched", "set", "is", "are", "was", "were", "be")
#: What leads to a change as an event, "since the move", where it else would be a thing.
_SINCE = ("since", "after", "before", "until", "with", "by")
_SLOT = re.compile(
    r"(?:is|are|was|with|by|in|on|at|to|called|named|as|from|of|uses?|for|prefers?)$"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One statement of a text.

    `said` are its words' stems and its values, by the way they were written; `values` those of them
    that stand for an amount, a date or a place, by their class. `changes` is set by any sign of a
    change, `event` only by one that says that it has happened. `slots` are words that fill a place
    ("is called x", "with x"), each with what leads to it. `scopes` are what narrows a word: which
    service, whose. `retired` are the words that it says not to hold any more.
    """

    said: dict[str, str]
    values: dict[str, str]
    negations: int
    changes: bool
    event: bool
    slots: Mapping[str, str]
    retired: frozenset[str]
    order: tuple[str, ...]
    scopes: Mapping[str, frozenset[str]]
    compared: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as far as it is read: its statements, and whether it amends what was said before."""

    text: str
    statements: tuple[Sentence, ...]
    amends: bool
    long: bool

    @property
    def said(self) -> frozenset[str]:
        """Return the stems of all its words; most readings are never asked for them."""
        return _stems_of(self.text)

    @property
    def tokens(self) -> Mapping[str, str]:
        """Return a word for each of these stems, in lower case, as it is written there."""
        return _tokens_of(self.text)

    @property
    def spoken(self) -> bool:
        """Return True for a conversation of somebody with an agent."""
        return _SPEAKERS.search(self.text) is not None

    @property
    def is_code(self) -> bool:
        """Return True for a text with more signs of code than prose has."""
        return len(_CODE.findall(self.text)) > MOST_SIGNS


def read(text: str) -> Reading:
    """Return how the rules read a text; of a long one its beginning and its end."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    parts = [] if len(text) > SHORT else [part for part in _ENDS.split(text) if part.strip()]
    long = len(text) > SHORT or len(parts) > MOST_STATEMENTS
    statements = () if long else _statements(parts, _retired(text))
    return Reading(text, statements, _amending(text), long)


def _amending(text: str) -> bool:
    """Return True if a text says of itself that it changes what was decided before."""
    low = text.lower()
    return any(sign in low for sign in _SIGNS_AMENDING) and _AMENDS.search(text) is not None


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _stems_of(text: str) -> frozenset[str]:
    return frozenset(
        stem
        for token in _TOKEN.findall(_named(text))
        if (stem := stemmed(token.lower())) and not _is_function_word(token)
    )


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _tokens_of(text: str) -> Mapping[str, str]:
    return {
        stemmed(token.lower()): token.lower()
        for token in _TOKEN.findall(_named(text))
        if not _is_function_word(token)
    }


def _is_function_word(token: str, low: str = "") -> bool:
    """Return True for a word without a meaning of its own; "GET", "US" and "IT" are names."""
    return (low or token.lower()) in words.FUNCTION_WORDS and not (
        token.isupper() and len(token) in _LENGTHS_OF_NAMES
    )


def _statements(parts: list[str], retired: frozenset[str]) -> tuple[Sentence, ...]:
    """The parts that say something of their own, in prose."""
    prose = (
        _named(part)
        for part in parts
        if not _PASSING.search(part) and len(_CODE.findall(part)) <= MOST_SIGNS
    )
    made = (_statement(part, retired) for part in prose)
    return tuple(one for one in made if 0 < len(one.order) <= MOST_WORDS)


def _named(text: str) -> str:
    """Return a text in which the language Go is no verb."""
    return _GO.sub("Golang", text)


def _statement(text: str, retired: frozenset[str]) -> Sentence:
    said: dict[str, str] = {}
    values: dict[str, str] = {}
    slots: dict[str, str] = {}
    order: list[str] = []
    negations, changes, before, leads = 0, bool(retired), "", ""
    event = changes
    for number, token in enumerate(_TOKEN.findall(text)):
        low = token.lower().rstrip(".:-")
        thing = before in words.ARTICLES and low in words.CHANGES_OR_THINGS
        if low in words.NEGATIONS or low.endswith("n't"):
            negations += 1
        elif low in words.CHANGES and low not in words.MONTHS and (not thing or leads in _SINCE):
            changes, event = True, event or low in words.EVENTS
        elif low in ("on", "off") and before in _SWITCHED:
            said[f"switched-{low}"] = low
            order.append(f"switched-{low}")
        elif low and not _is_function_word(token, low):
            stem, kind = classed(low)
            said[stem] = token
            order.append(stem)
            if kind:
                values[stem] = kind
            if _SLOT.search(before) or number == 0 or (token[0].isupper() and number):
                slots[stem] = before
        before, leads = low, before
    return Sentence(
        said, values, negations, changes, event, slots, retired, tuple(order),
        _scopes(text), _compared(text),
    )  # fmt: skip


def _scopes(text: str) -> dict[str, frozenset[str]]:
    """Return what narrows the words that a statement is about, by those words.

    That are the words beside another one in its subject ("the search service", "flag fast_sort") or
    after a preposition ("in the search client"); and by "for" and "of" what stands after these.
    """
    found: dict[str, set[str]] = {}
    before, inside, leads = "", True, ""
    for token in _TOKEN.findall(text):
        low = token.lower().rstrip(".:-")
        passing = _is_function_word(token, low)
        if passing or low in words.NEGATIONS or low in words.CHANGES:
            inside = low in _PLACES or (inside and low in words.ARTICLES)
            leads = low if low in _WHOSE else leads if low in words.ARTICLES else ""
            before = ""
            continue
        stem = classed(low)[0]
        if leads:
            found.setdefault(leads, set()).add(stem)
        if inside and before and stem not in _VERBS:
            found.setdefault(stem, set()).add(before)
            if not token.isalpha():  # a name of one of them: "flag fast_sort"
                found.setdefault(before, set()).add(stem)
        inside = inside and stem not in _VERBS
        before, leads = stem, ""
    return {word: frozenset(others) for word, others in found.items()}


def _compared(text: str) -> frozenset[tuple[str, str]]:
    pairs = (match.groups() for match in _COMPARED.finditer(text))
    return frozenset((classed(a.lower())[0], classed(b.lower())[0]) for a, b in pairs)


def _retiring(text: str) -> Iterator[re.Match[str]]:
    """Return where a text says that something is gone."""
    low = text.lower()
    if any(sign in low for sign in _SIGNS_BEFORE):
        return _RETIRED.finditer(text)
    if any(sign in low for sign in _SIGNS_AFTER):
        return _RETIRED_AFTER.finditer(text)
    return iter(())


def _retired(text: str) -> frozenset[str]:
    found: set[str] = set()
    for match in _retiring(text):
        by_name = match.groupdict()
        part = by_name["after"] or next(filter(None, map(by_name.get, _NAMED_BEFORE)), "")
        tokens = [token.lower().rstrip(".:-") for token in _TOKEN.findall(part)]
        kept = [token for token in tokens if token not in words.FUNCTION_WORDS]
        found.update(classed(token)[0] for token in (kept[:3] if by_name["after"] else kept[-3:]))
    return frozenset(found)


@lru_cache(maxsize=REMEMBERED)
def classed(token: str) -> tuple[str, str]:
    """Return a token's stem, and the class of value that it is: number, date, place, or ""."""
    if token in words.NUMBER_WORDS:
        return words.NUMBER_WORDS[token], "number"
    if token in words.DAYS or token in words.MONTHS:
        return token, "day" if token in words.DAYS else "month"
    number = _NUMBER.fullmatch(token)
    if number:
        return number[1].rstrip(".,:-_"), "time" if ":" in number[1] else "number"
    if "/" in token.strip("/") or token.startswith(("/", "~", "./")):
        return token, "place"
    if re.search(r"\d", token) and ":" in token:
        return token, "version"
    return stemmed(token), ""


@lru_cache(maxsize=REMEMBERED)
def stemmed(word: str) -> str:
    """Return a word without its ending; a name stays as it is."""
    word = word.removesuffix("'s")
    if word in words.IRREGULAR:
        return words.IRREGULAR[word]
    if not word.isascii() or not word.isalpha() or len(word) < 4:
        return word
    for ending, other in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: len(word) - len(ending)] + other
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    word = word.removesuffix("e")
    return word[:-1] + "i" if len(word) > 3 and word.endswith("y") else word


_ENDINGS = (
    ("ments", ""), ("ment", ""), ("ations", "at"), ("ation", "at"), ("ions", ""), ("ion", ""),
    ("ies", "y"), ("ied", "y"), ("ings", ""), ("ing", ""), ("sses", "ss"), ("ed", ""),
    ("xes", "x"), ("ss", "ss"), ("es", "e"), ("us", "us"), ("is", "is"), ("s", ""), ("ly", ""),
)  # fmt: skip

_VERBS = frozenset(map(stemmed, words.WEAK))
