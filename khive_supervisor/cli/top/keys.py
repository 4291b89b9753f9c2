"""What was pressed, by the bytes that a terminal sends. Pure."""

from __future__ import annotations

import re

#: Names of the keys that send a sequence, by what follows ESC [ or ESC O.
_SEQUENCES = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "5~": "page up", "6~": "page down", "1~": "home", "4~": "end", "7~": "home", "8~": "end",
}  # fmt: skip
_NAMED = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\t": "tab",
          "\x03": "interrupt", "\x0c": "redraw", "\x1b": "escape"}  # fmt: skip
_SEQUENCE = re.compile(r"\x1b[\[O]([0-9;?]*[@-~])")
#: What may be the beginning of a sequence whose rest is on its way.
_BEGUN = re.compile(rb"\x1b(?:[\[O][0-9;?]*)?$")


def incomplete(data: bytes) -> bool:
    """Return True if more may be coming that belongs to what has come last."""
    return _BEGUN.search(data) is not None


def pressed(data: bytes) -> list[str]:
    """Return names of keys, or the letters that they type; what is unknown is passed over."""
    text = data.decode("utf-8", "ignore")
    found: list[str] = []
    at = 0
    while at < len(text):
        sequence = _SEQUENCE.match(text, at)
        if sequence is not None:
            name = _SEQUENCES.get(sequence[1])
            found += [name] if name else []
            at = sequence.end()
            continue
        letter = text[at]
        if letter in _NAMED or letter.isprintable():
            found.append(_NAMED.get(letter, letter))
        at += 1
    return found
