"""What the full-text index holds, and how a query is asked of it: one analysis for both sides.

The store writes `index_text(text)` into an FTS5 table with the tokenizer `porter unicode61`; the
search turns a user's text into a `Query` and its terms into a `match_expression`. Text of a user
never is query syntax: a term reaches FTS5 only between double quotes, and holds none itself.

Limits: every string is valid, also one with NULs, lone surrogates, or no word at all; a query
without a word has no terms, and `match_expression` of no terms is empty: there is nothing to ask
the index. The caller bounds the length of a query (20,000 characters); a term has at most
`MAX_TERM_CHARACTERS`, an expression at most `MAX_EXPRESSION_TERMS` terms.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice

#: Characters of a word that a query looks up; what follows is left out. A longer one (a pasted
#: key, base64) is looked up by its beginning, and so not found: it says nothing about meaning.
MAX_TERM_CHARACTERS = 256
#: Terms that an expression takes; the rest is left out. FTS5 has no such limit of its own for OR,
#: but every term costs a lookup. `search.lexical` chooses far fewer, by their worth.
MAX_EXPRESSION_TERMS = 1024
#: The columns that a user's words are looked up in: all but `scope`.
TEXT_COLUMNS = ("title", "content", "tags")
#: Scripts that write words without spaces (or, Korean, glue particles to them): Thai, Lao,
#: Myanmar, Khmer, Hangul, kana, bopomofo, Yi, and Han with its extensions.
_UNSPACED = re.compile(
    "[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0ec6\u1000-\u102a\u1780-\u17b3"
    "\u1100-\u11ff\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u3105-\u318e"
    "\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)
#: Where an identifier such as `parseHTTPHeader` or `utf8Decode` is put together.
_CAMEL_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: A word of letters and digits with a capital after its first letter: worth looking for joints.
_CAMEL_WORD = re.compile(r"\b[A-Za-z][a-z0-9]*[A-Z][A-Za-z0-9]*\b")

_ASCII_WORD = re.compile("[a-z0-9]+")
#: Names that are written in parts: `max_retries`, `os.path.join`, `src/main.rs`, `std::vec`. The
#: parts alone are often common words; as a phrase they are what was meant. A hyphen joins English
#: words rather than names, and measurably does not help.
_COMPOUND = re.compile(r"(?<![^\W_])[^\W_]++(?:(?:[_./]|::)[^\W_]++){1,5}")
#: Characters from which on a compound is a name: "e.g" and "a/b" are none.
_SHORTEST_COMPOUND = 4
#: A word such as `sha256`, `e4021` or `3d`.
_LETTERS_DIGITS = re.compile("[a-z]+[0-9]|[0-9]+[a-z]")
#: Function words of English, and what unicode61 leaves of their contractions ("don't": don, t).
#: They carry no meaning for BM25 and are the longest lists of the index. Other languages need no
#: list: `search.lexical` leaves out what is in too many entries.
_STOP_WORDS = """
    a about above after again against all am an and any are aren as at be because been before
    being below between both but by can cannot could couldn d did didn do does doesn doing don
    down during each few for from further had hadn has hasn have haven having he her here hers
    herself him himself his how i if in into is isn it its itself just let ll m me more most
    mustn my myself no nor not of off on once only or other ought our ours ourselves out over own
    re s same shall shan she should shouldn so some such t than that the their theirs them
    themselves then there these they this those through to too under until up upon ve very was
    wasn we were weren what when where which while who whom whose why will with won would wouldn
    you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def index_text(text: str) -> str:
    """Return the form of `text` that goes into the full-text index; never shown to anybody.

    Compatibility forms are unified (NFKC) and case is folded; the parts of an identifier such as
    `getUserName` follow it (snake_case the tokenizer takes apart itself); characters of scripts
    that write without spaces stand alone, so that a run of them can be found as a phrase.
    """
    return _spaced(folded(_with_parts(text)))


#: Words that a headline has, and characters at most: one word says too little, and who pastes a
#: page without line breaks has none.
HEADLINE_WORDS, MOST_OF_HEADLINE = (3, 25), 300


class Query(dict[str, int]):
    """A query as terms: how often each occurs, in order; `names` says which of them are names.

    Terms are folded and distinct; words come first, then the compound names (`max_retries`), which
    are found as phrases. `names` has those, camelCase words, and words of letters and digits.
    `headline` has the terms of a first line that says what the others are about.
    """

    __slots__ = ("headline", "names")

    def __init__(
        self, counts: Mapping[str, int], names: Iterable[str] = (), headline: Iterable[str] = ()
    ) -> None:
        super().__init__(counts)
        self.names = frozenset(names)
        self.headline = frozenset(headline)


def read_query(text: str) -> Query:
    """Return the terms of a text, without stop words.

    A text of nothing but stop words keeps them all ("The Who"). A run of a script without spaces
    becomes its overlapping pairs of characters, each a term. No word at all: no terms.
    """
    counts, names = _counted(text)
    headline = _headline(text)
    return Query(counts, names, _counted(headline)[0].keys() & counts.keys() if headline else ())


def _headline(text: str) -> str:
    """Return the first line of a text that has more, if it is as long as a headline; else ""."""
    first, _, rest = text.strip().partition("\n")
    fewest, most = HEADLINE_WORDS
    is_one = len(first) <= MOST_OF_HEADLINE and fewest <= len(first.split()) <= most
    return first if is_one and rest.strip() else ""


def _counted(text: str) -> tuple[dict[str, int], set[str]]:
    """Return how often each term occurs in a text, and which of them are names."""
    whole = folded(_with_parts(text))
    words = Counter(_terms(whole))
    counts = {term: n for term, n in words.items() if term not in STOP_WORDS} or dict(words)
    compounds = Counter(name[0][:MAX_TERM_CHARACTERS] for name in _COMPOUND.finditer(whole))
    for term, count in compounds.items():
        if len(term) >= _SHORTEST_COMPOUND:
            counts[term] = counts.get(term, 0) + count
    camel = {word[0].lower() for word in _CAMEL_WORD.finditer(text) if _CAMEL_JOINT.search(word[0])}
    names = {
        term for term in counts if term in compounds or term in camel or _LETTERS_DIGITS.match(term)
    }
    return counts, names


def match_expression(
    terms: Iterable[str], scope: Sequence[str] = (), also: Iterable[str] = ()
) -> str:
    """Return the FTS5 expression for entries with any of the terms, and all of the scope's tokens.

    With `also`, an entry must have any of those terms too. Terms come from `read_query`, tokens
    from `scope_token`. No terms give an empty expression, which FTS5 would refuse: ask nothing
    then.
    """
    words = _any_of(terms)
    if not words:
        return ""
    others = _any_of(also)
    inside = f"({words}) AND ({others})" if others else words
    parts = (f"scope : {quoted(token)}" for token in scope)
    return " AND ".join([*parts, f"{{{' '.join(TEXT_COLUMNS)}}} : ({inside})"])


def _any_of(terms: Iterable[str]) -> str:
    return " OR ".join(quoted(term) for term in islice(terms, MAX_EXPRESSION_TERMS))


def quoted(term: str) -> str:
    """Return a term as an FTS5 string: data, whatever it holds."""
    return '"' + _spaced(term).replace('"', '""') + '"'


def scope_token(kind: str, name: str) -> str:
    """Return an alphanumeric token for a collection or namespace, for the `scope` column.

    A hash, so that no two names share a token whatever their letters are; it ends in a digit,
    so that the stemmer leaves it alone.
    """
    data = f"{kind}\0{name}".encode("utf-8", "surrogatepass")
    return f"z{blake2b(data, digest_size=10).hexdigest()}0"


def _with_parts(text: str) -> str:
    """Return the text with the parts of every camelCase word after it."""
    return _CAMEL_WORD.sub(_word_and_parts, text)


def _word_and_parts(word: re.Match[str]) -> str:
    parts = _CAMEL_JOINT.sub(" ", word[0])
    return f"{word[0]} {parts}" if " " in parts else word[0]


def folded(text: str) -> str:
    """Return the text in NFKC without letter case; NULs and lone surrogates become spaces."""
    if text.isascii():
        return text.replace("\0", " ").lower()
    clean = re.sub("[\0\ud800-\udfff]", " ", text)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", clean).casefold())


def _spaced(text: str) -> str:
    """Each character of an unspaced script between spaces; other text as it is."""
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)


def _terms(folded: str) -> Iterator[str]:
    """Every term of a folded text, with repetitions."""
    if folded.isascii():
        for match in _ASCII_WORD.finditer(folded):
            yield match[0][:MAX_TERM_CHARACTERS]
        return
    for word in "".join(c if _in_word(c) else " " for c in folded).split():
        yield from _word_terms(word[:MAX_TERM_CHARACTERS])


def _in_word(character: str) -> bool:
    """Return True if a character continues a word: unicode61 indexes it, or it marks a letter."""
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc", "Me", "Co", "No")


def _word_terms(word: str) -> Iterator[str]:
    """The word itself, or for its unspaced runs the overlapping pairs of characters."""
    start = 0
    for run in re.finditer(f"(?:{_UNSPACED.pattern})+", word):
        if run.start() > start:
            yield word[start : run.start()]
        characters = run[0]
        for at in range(max(len(characters) - 1, 1)):
            yield characters[at : at + 2]
        start = run.end()
    if start < len(word):
        yield word[start:]
