"""Secrets for tests, made so that no literal looks like one."""

from __future__ import annotations

import random
import string

WORD = string.ascii_letters + string.digits
_RNG = random.Random(4711)


def some(alphabet: str, length: int) -> str:
    """Return so many signs of an alphabet, by chance."""
    return "".join(_RNG.choices(alphabet, k=length))


#: Secrets that are found by their form, and by what is said of them.
SECRET = "gh" + "p_" + some(WORD, 36)
PASSWORD = "Copper" + "Falcon" + "77!"
