"""How executions that a search has found are ordered by the files that they touched; pure.

A search compares what was asked. Executions say more: which files they touched. One whose files
the task names comes first, and after one that touched a file the next to touch it moves back, so
that the first results lead to different places.

What is named is decided by the words of the paths: those of few of the executions found count more.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

#: What a file that is named in full adds to the worth of a place, which is 1 / (FLAT + place): the
#: first place is worth little more than the second.
NAMED, FLAT = 2.0, 6
#: Places that an execution moves back for each one before it that touched the same files.
MOVED_BACK = 5

_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[A-Za-z0-9]+")


def ordered(asked: str, files: Sequence[Iterable[str]]) -> list[int]:
    """Return the places of what was found, best first.

    `files`: the paths that each has touched, in the order in which a search has found them. What
    touched none keeps its place among such.
    """
    found = [frozenset(paths) for paths in files]
    named = _named(asked, found)
    worth = [(1.0 + NAMED * one) / (FLAT + place) for place, one in enumerate(named)]
    best_first = sorted(range(len(found)), key=lambda place: (-worth[place], place))
    return _spread(best_first, found)


def _named(asked: str, found: Sequence[frozenset[str]]) -> list[float]:
    """Return how far a task names the best named file of each, 0 to 1."""
    said = _words(asked)
    words = {path: _words(path) for paths in found for path in paths}
    holders = Counter(
        word for paths in found for word in set().union(*(words[path] for path in paths))
    )
    weights = {word: math.log1p(len(found) / count) for word, count in holders.items()}
    return [
        max((_share(words[path], said, weights) for path in paths), default=0.0) for paths in found
    ]


def _share(words: frozenset[str], said: frozenset[str], weights: dict[str, float]) -> float:
    whole = sum(weights[word] for word in words)
    return sum(weights[word] for word in words & said) / whole if whole else 0.0


def _spread(best_first: Sequence[int], found: Sequence[frozenset[str]]) -> list[int]:
    """Move back what touched only files that were touched by those before it."""
    shown: Counter[str] = Counter()
    places = []
    for at, one in enumerate(best_first):
        again = min((shown[path] for path in _sources(found[one])), default=0)
        places.append((at + MOVED_BACK * again, at, one))
        shown.update(_sources(found[one]))
    return [one for _, _, one in sorted(places)]


def _sources(paths: frozenset[str]) -> frozenset[str]:
    """Return paths without those of tests, which go with what they test; all if there is no other.

    A test is told by its path, as in `tests/test_retry.py` or `retry.test.ts`.
    """
    return frozenset(path for path in paths if "test" not in path.lower()) or paths


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(_JOINT.sub(" ", text)))
