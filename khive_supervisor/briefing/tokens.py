"""How many tokens a text has for a model, at most; pure.

No tokenizer is asked: theirs are megabytes of tables, and Claude's is not published. The bound is
of the parts that tokenizers cut texts into, with the most that each part was seen to take. Measured
against o200k_base and the tokenizer that Anthropic has published, on 3,800 texts (English, Python,
shells, output of programs, hexadecimal numbers, German, French, Russian, Chinese, Japanese): the
numbers are in docs/adr/0038-hooks.md.
"""

from __future__ import annotations

import re

#: Letters of a word that is one token, as a rule, and letters for each token of a longer one.
_WHOLE_WORD, _LETTERS = 6, 5
#: The same of what is no word: capitals, and letters among digits.
_DENSE = 2
#: Tokens of a character beyond ASCII.
_FOREIGN = 2
_PART = re.compile(r"([A-Za-z]+)|([0-9]+)|(\n+)|([^\S\n]+)|(.)", re.DOTALL)
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_DIGIT = frozenset("0123456789")


def bound(text: str) -> int:
    """Return a number of tokens that a text is not longer than, for the models of today."""
    return sum(_of_part(text, part) for part in _PART.finditer(text))


def _of_part(text: str, part: re.Match[str]) -> int:
    letters, digits, lines, blanks, _ = part.groups()
    if letters:
        return _of_letters(letters, _beside_digit(text, part))
    if digits:
        return _groups(digits, _DENSE)
    if lines:
        return 1
    if blanks:
        # A blank belongs to the word after it, and stands alone before a number.
        following = text[part.end() : part.end() + 1]
        return 0 if len(blanks) == 1 and not following.isdigit() else 1
    return 1 if part[0].isascii() else _FOREIGN


def _of_letters(letters: str, dense: bool) -> int:
    if dense:
        return _groups(letters, _DENSE)
    return sum(_of_hump(hump) for hump in _HUMP.findall(letters))


def _of_hump(hump: str) -> int:
    if len(hump) > 1 and hump.isupper():
        return _groups(hump, _DENSE)
    return 1 if len(hump) <= _WHOLE_WORD else _groups(hump, _LETTERS)


def _groups(text: str, size: int) -> int:
    return -(-len(text) // size)


def _beside_digit(text: str, part: re.Match[str]) -> bool:
    before, after = text[max(part.start() - 1, 0) : part.start()], text[part.end() : part.end() + 1]
    return before in _DIGIT or after in _DIGIT
