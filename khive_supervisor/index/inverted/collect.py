"""What an inverted index is made of, read from the store in short steps while others write.

No step sees the same state as another one, and none needs to: whatever dies or comes back after
`Description.fate` was read is asked of the store at search time, however much of it is in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.index.inverted.postings_file import (
    COLUMN_WEIGHTS,
    Description,
    impact,
    token_hash,
)
from khive_supervisor.store.interface import Store
from khive_supervisor.text.analysis import TEXT_COLUMNS

#: Occurrences that are read at once, about: 0.1 s, and 20 MB of memory.
_STEP = 100_000
#: Tokens that are listed at once.
_PAGE = 20_000
#: Entries whose ages are read at once.
_ROWS = 5_000
#: What an occurrence counts by column; the scope's are worth nothing.
_WEIGHTS = {"scope": 0.0, **dict(zip(TEXT_COLUMNS, COLUMN_WEIGHTS, strict=True))}


@dataclass(frozen=True, slots=True)
class _Part:
    """The lists of some tokens, one after the other: `counts` entries for each of `hashes`."""

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64]
    entries: NDArray[np.int32]
    occurrences: NDArray[np.float32]


def collect(store: Store) -> tuple[Description, dict[str, NDArray[Any]]]:
    """Return what `words.write` wants: all live entries of the store as of now."""
    fate = store.postings.last_fate()
    highest = store.entries.highest_id()
    lengths = np.zeros(highest + 1, np.int32)
    parts = [_part(rows, lengths) for rows in _steps(store)]
    items = int(np.count_nonzero(lengths))
    average = float(lengths.sum(dtype=np.int64)) / max(items, 1)
    description = Description(highest=highest, fate=fate, items=items, average=average)
    postings = _sorted(parts, lengths, average)
    return description, {**postings, "lengths": lengths, **_ages(store, highest)}


def _steps(store: Store) -> Iterator[list[tuple[str, int, str]]]:
    """All occurrences, in the order of tokens, in ranges of about `_STEP`."""
    begin = after = ""
    count = 0
    while page := store.postings.vocabulary(after, _PAGE):
        for token, occurrences in page:
            after = token
            count += occurrences
            if count >= _STEP:
                yield store.postings.occurrences(begin, after)
                begin, count = after, 0
    if count:
        yield store.postings.occurrences(begin, after)


def _part(rows: Sequence[tuple[str, int, str]], lengths: NDArray[np.int32]) -> _Part:
    """Return one step's postings; adds the occurrences to the lengths of their entries."""
    numbers: dict[str, int] = {}
    n = len(rows)
    tokens = np.fromiter((numbers.setdefault(row[0], len(numbers)) for row in rows), np.int64, n)
    entries = np.fromiter((row[1] for row in rows), np.int64, n)
    weights = np.fromiter((_WEIGHTS[row[2]] for row in rows), np.float32, n)
    # What came after `highest` was read is asked of the store.
    known = entries < len(lengths)
    tokens, entries, weights = tokens[known], entries[known], weights[known]
    lengths += np.bincount(entries, minlength=len(lengths)).astype(np.int32)
    key = tokens * len(lengths) + entries
    first = np.flatnonzero(np.diff(key, prepend=-1))
    summed = np.add.reduceat(weights, first) if len(first) else weights
    hashes = np.array([token_hash(token) for token in numbers], np.uint64)
    counts = np.bincount(tokens[first], minlength=len(numbers))
    return _Part(hashes, counts, entries[first].astype(np.int32), summed.astype(np.float32))


def _sorted(
    parts: Sequence[_Part], lengths: NDArray[np.int32], average: float
) -> Mapping[str, NDArray[Any]]:
    """Return the lists of all parts in the order of their tokens' hashes, with their impacts."""
    hashes = np.concatenate([np.empty(0, np.uint64), *(part.hashes for part in parts)])
    counts = np.concatenate([np.empty(0, np.int64), *(part.counts for part in parts)])
    entries = np.concatenate([np.empty(0, np.int32), *(part.entries for part in parts)])
    occurrences = np.concatenate([np.empty(0, np.float32), *(p.occurrences for p in parts)])
    impacts = impact(occurrences, lengths[entries], average).astype(np.float16)
    order = np.argsort(hashes, kind="stable")
    ends = np.cumsum(counts)
    places = np.repeat((ends - counts)[order], counts[order])
    starts = np.append(0, np.cumsum(counts[order]))
    places += np.arange(len(entries)) - np.repeat(starts[:-1], counts[order])
    return {
        "hashes": hashes[order],
        "starts": starts,
        "entries": entries[places],
        "impacts": impacts[places],
    }


def _ages(store: Store, highest: int) -> dict[str, NDArray[Any]]:
    """When each entry was made, its salience, decay and project; 0 for one that never was."""
    ages = np.zeros((highest + 1, 4))
    after = 0
    while page := store.postings.ages(after, _ROWS):
        for entry, *age in page:
            if entry <= highest:
                ages[entry] = age
        after = page[-1][0]
    return {
        "created": ages[:, 0],
        "salience": ages[:, 1],
        "decay": ages[:, 2],
        "projects": ages[:, 3],
    }
