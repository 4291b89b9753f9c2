"""When the builder is started, and how much of a merged answer is certain: pure functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.index.vectors.build import BuildReason, decide
from khive_supervisor.index.vectors.delta import DELTA_LIMIT
from khive_supervisor.index.vectors.hits import SEARCH_K, HitList, certain, search_k_for
from khive_supervisor.store.vectors import Generation, VectorStats


def stats(vectors: int, newer: int = 0, missing: int = 0, other: int = 0) -> VectorStats:
    return VectorStats("m", vectors, newer, missing, vectors, other)


def generation(items: int) -> Generation:
    return Generation(
        1, "m", "1.ann", "0" * 64, "f", 1, 384, "angular", items, 50, items, items, True, 0.0
    )


@pytest.mark.parametrize(
    ("vectors", "row", "damaged", "reason"),
    [
        (stats(0), None, False, None),
        (stats(999, 999), None, False, None),
        (stats(1000, 1000), None, False, BuildReason.FIRST),
        (stats(10, 10, missing=1), None, False, BuildReason.MISSING_VECTORS),
        (stats(100_000, 5000), generation(95_000), False, None),
        (stats(100_000, 5001), generation(94_999), False, BuildReason.GROWN),
        (stats(400_000, DELTA_LIMIT), generation(390_000), False, None),
        (stats(400_000, DELTA_LIMIT + 1), generation(389_999), False, BuildReason.GROWN),
        (stats(2000, 999), generation(1001), False, None),
        (stats(2000, 1000), generation(1000), False, BuildReason.GROWN),
        (stats(10_000), generation(12_500), False, None),
        (stats(10_000), generation(12_502), False, BuildReason.SHRUNK),
        (stats(0), generation(12_502), False, None),
        (stats(10, other=3), None, False, BuildReason.MODEL_CHANGED),
        (stats(0, missing=3, other=3), None, False, BuildReason.MISSING_VECTORS),
        (stats(10, 0), generation(10), True, BuildReason.DAMAGED),
        (stats(0, 0), generation(10), True, None),
    ],
)
def test_when_there_is_something_to_do(
    vectors: VectorStats, row: Generation | None, damaged: bool, reason: BuildReason | None
) -> None:
    assert decide(vectors, row, damaged=damaged) == reason


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.001, 1), st.integers(1, 10**6))
def test_a_fresh_generation_needs_no_other(
    items: int, newer: int, share: float, minimum: int
) -> None:
    vectors = stats(items + newer, newer)
    reason = decide(vectors, generation(items), share=share, minimum=minimum)
    if reason is BuildReason.GROWN:
        after = decide(
            stats(items + newer), generation(items + newer), share=share, minimum=minimum
        )
        assert after is None


COSINES = st.lists(st.integers(-100, 100).map(lambda n: n / 100), max_size=30)


@given(COSINES, COSINES, st.integers(1, 8), st.sets(st.integers(0, 60)), st.integers(1, 8))
def test_certain_hits_are_those_of_the_whole(
    first: list[float], second: list[float], shown: int, dead: set[int], limit: int
) -> None:
    """Whatever two arms show of their lists: what counts as certain is in the full answer."""
    arms, everything = [], []
    for offset, cosines in ((0, first), (100, second)):
        hits = [(offset + n, c) for n, c in enumerate(sorted(cosines, reverse=True))]
        everything += hits
        arms.append(HitList(hits[:shown], exhausted=shown >= len(hits)))

    def best(hits: list[tuple[int, float]]) -> list[tuple[int, float]]:
        return sorted((h for h in hits if h[0] not in dead), key=lambda h: -h[1])

    merged = best([hit for arm in arms for hit in arm.hits])
    count = min(certain(merged, arms), limit)
    assert [c for _, c in merged[:count]] == [c for _, c in best(everything)[:count]]


def test_more_items_are_searched_deeper() -> None:
    assert search_k_for(10) == search_k_for(100_000) == SEARCH_K
    assert search_k_for(400_000) == 2 * SEARCH_K
