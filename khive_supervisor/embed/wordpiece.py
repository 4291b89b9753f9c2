"""BERT's uncased WordPiece tokenizer, in pure Python.

The text is cleaned (control characters go, marks are stripped from letters, everything becomes
lower case), cut into words at white space, around punctuation and around each Chinese character,
and each word into the longest pieces that the vocabulary has, from left to right (Devlin et al.,
"BERT", 2019, and the tokenizer published with it).

It agrees with the Rust tokenizer on everything but this, and on purpose:

* a marker written in the text, such as `[SEP]`, is text here: nobody can put one in from outside;
* the Unicode tables are those of the running Python, newer than the other one's: characters added
  to Unicode since about 2016 can be a mark, a letter or punctuation here and something else there
  (503 characters differ with Python 3.11).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
#: Characters of the longest word that is cut into pieces; a longer one is unknown.
LONGEST_WORD = 100
#: Characters of the longest stretch between white space whose pieces are remembered.
LONGEST_CACHED = 64
#: Stretches remembered, a few megabytes; then the memory starts again, empty.
CACHED = 20_000
#: Control characters that are not white space; they vanish, and join what is beside them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")
#: Ideographs, as the original lists them (its third extension block starts late).
_IDEOGRAPH = re.compile(
    "([\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f"
    "\U0002b740-\U0002b81f\U0002b920-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f])"
)
#: Categories that vanish: marks on letters, control, format, private use, surrogates.
_VANISHING = frozenset({"Mn", "Cc", "Cf", "Co", "Cs"})


class WordPiece:
    """Texts to lists of vocabulary ids. Threads may share one.

    `vocabulary` maps each piece to its id and holds the three markers.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._longest_piece = max(map(len, vocabulary))
        self._cache: dict[str, tuple[int, ...]] = {}
        self._first, self._last = vocabulary[CLS], vocabulary[SEP]
        self._unknown = (vocabulary[UNKNOWN],)
        markers = (self._first, self._last, *self._unknown)
        self._lettered = frozenset(
            number
            for piece, number in vocabulary.items()
            if number not in markers and any(map(str.isalnum, piece))
        )

    def encode(self, text: str, limit: int) -> list[int]:
        """Return the ids of a text between the two markers, `limit` (at least 2) at most with them.

        The work is bounded by the limit, not by the length of the text (but for copying it).
        """
        room = max(limit - 2, 1)
        ids = [self._first]
        for pieces in self._stretches(_CONTROLS.sub("", text), room):
            ids += pieces
            if len(ids) > room:
                break
        del ids[limit - 1 :]
        ids.append(self._last)
        return ids

    def knows(self, text: str, limit: int) -> bool:
        """Return True if `encode` says what the text is about: see `embed.base.Embedder.embed`.

        Letters and digits count, of the words within the limit: those of words that have pieces
        must be more than those of words that have none. A text of signs alone says nothing.
        """
        known = unknown = pieces = 0
        for word in _words_between_blanks(_CONTROLS.sub("", text[: limit * LONGEST_WORD])):
            found = self._pieces(word)
            pieces += len(found)
            if pieces > limit - 2:
                break
            letters = sum(map(str.isalnum, word))
            if found == self._unknown:
                unknown += letters
            else:
                known += letters
        return known > unknown

    def has_unknown(self, ids: Sequence[int]) -> bool:
        """Return True if a text of these ids has a word without pieces, or no word at all."""
        return self._unknown[0] in ids or not any(map(self._lettered.__contains__, ids))

    def _stretches(self, text: str, room: int) -> Iterator[tuple[int, ...]]:
        """The pieces of each stretch between white space, read off as they are needed."""
        while text:
            stretches = text.split(None, room)
            text = stretches.pop() if len(stretches) > room else ""
            for stretch in stretches:
                known = self._cache.get(stretch)
                if known is not None:
                    yield known
                elif len(stretch) <= LONGEST_CACHED:
                    yield self._remember(stretch)
                else:
                    yield from map(self._pieces, _words(stretch))

    def _remember(self, stretch: str) -> tuple[int, ...]:
        found = tuple(piece for word in _words(stretch) for piece in self._pieces(word))
        if len(self._cache) >= CACHED:
            self._cache.clear()
        self._cache[stretch] = found
        return found

    def _pieces(self, word: str) -> tuple[int, ...]:
        whole = self._vocabulary.get(word)
        if whole is not None:
            return (whole,)
        if len(word) > LONGEST_WORD:
            return self._unknown
        pieces = []
        start = 0
        while start < len(word):
            found = self._longest(word, start)
            if found is None:
                return self._unknown
            piece, start = found
            pieces.append(piece)
        return tuple(pieces)

    def _longest(self, word: str, start: int) -> tuple[int, int] | None:
        """Return the id of the longest piece at `start`, and where it ends."""
        prefix = "##" if start else ""
        for end in range(min(len(word), start + self._longest_piece), start, -1):
            piece = self._vocabulary.get(prefix + word[start:end])
            if piece is not None:
                return piece, end
        return None


def read_vocabulary(path: Path) -> dict[str, int]:
    """The pieces of a vocabulary file, one a line; a piece's id is the number of its line."""
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return {piece: number for number, piece in enumerate(lines)}


def _words_between_blanks(text: str) -> Iterator[str]:
    for stretch in text.split():
        yield from _words(stretch)


def _words(stretch: str) -> Iterator[str]:
    """The cleaned words and single punctuation characters of a stretch without white space."""
    if stretch.isascii():
        for match in _ASCII_WORD.finditer(stretch.lower()):
            yield match.group()
        return
    for part in _IDEOGRAPH.split(stretch):
        yield from _unicode_words(part)


def _unicode_words(text: str) -> Iterator[str]:
    word: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        category = unicodedata.category(character)
        if category in _VANISHING or character == "\ufffd":
            continue
        if _is_punctuation(character, category):
            if word:
                yield "".join(word)
                word.clear()
            yield character
        else:
            # One by one: a sigma at the end of a word has no form of its own in the vocabulary.
            word.append(character.lower())
    if word:
        yield "".join(word)


def _is_punctuation(character: str, category: str) -> bool:
    """Punctuation, and every ASCII symbol besides."""
    return category[0] == "P" or (character.isascii() and not character.isalnum())
