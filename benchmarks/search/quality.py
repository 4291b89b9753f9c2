"""The quality of what is found, on sets of questions and on agents' sessions."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.retrieval import SetQuality, Vectors, measure_sessions, measure_sets
from benchmarks.search.shared_store import measure_shared, measure_turns, subjects

#: Points of nDCG@10 that the fusion may be below the better arm.
ALLOWED = 0.5
#: What plain full text reaches within a repo: hit@10 and MRR.
PLAIN_HITS, PLAIN_MRR = 0.895, 0.547
#: What 0.3.0 reached: nDCG@10 in points, and within a repo MRR in percent.
BEFORE = {
    "cisi": 46.2, "cosqa": 58.7, "tldr": 54.2, "sessions": 63.1, "friends-dev": 36.3,
    "friends-tst": 35.7, "qmsum-test": 18.4,
}  # fmt: skip
#: Points that a set may lose against that, and that all gain on average.
LOST, GAINED = 0.5, 0.7


def measure(context: Context) -> list[Row]:
    """The rows of quality; without material they say so."""
    vectors = Vectors(context.work / "quality")
    rows = []
    now: dict[str, float] = {}
    if context.retrieval is not None:
        sets = list(measure_sets([context.retrieval], vectors))
        now |= {q.name: q.fused for q in sets}
        rows.append(_sets("fused quality, nDCG@10 in points", sets))
        shared = list(measure_shared(subjects(context.retrieval, context.coding), vectors))
        rows.append(_sets("the same of all sets in one store, a namespace each", shared))
    if context.turns is not None:
        turns = list(measure_turns(context.turns, vectors))
        now |= {q.name: q.fused for q in turns}
        rows.append(_sets("turns of conversations by questions about them", turns))
    if context.sessions is not None:
        rows.append(_sessions(context, vectors))
        now["sessions"] = 100 * rows[-1].data["fused"]["mrr"]
    return [*rows, _against_before(now)] if now else rows


def _against_before(now: dict[str, float]) -> Row:
    gains = {name: value - BEFORE[name] for name, value in now.items() if name in BEFORE}
    mean = sum(gains.values()) / max(len(gains), 1)
    return Row(
        what="the same against 0.3.0",
        target=f"mean at least +{GAINED}, none worse by {LOST}",
        khive="; ".join(f"{name} {gain:+.1f}" for name, gain in gains.items())
        + f"; mean {mean:+.2f}",
        peers=(),
        met=mean >= GAINED and min(gains.values(), default=0.0) >= -LOST,
        data=gains,
    )


def _sets(what: str, sets: Sequence[SetQuality]) -> Row:
    mean = sum(q.gain for q in sets) / len(sets)
    return Row(
        what=what,
        target=f"never > {ALLOWED} below the better arm, above it on average",
        khive="; ".join(f"{q.name} {q.fused:.1f} ({q.gain:+.1f})" for q in sets)
        + f"; mean gain {mean:+.2f}",
        peers=(
            "full text: " + ", ".join(f"{q.name} {q.words:.1f}" for q in sets),
            "vectors: " + ", ".join(f"{q.name} {q.meaning:.1f}" for q in sets),
        ),
        met=min(q.gain for q in sets) >= -ALLOWED and mean > 0,
        notes=("Vectors are compared exactly. More sets: docs/adr/0003-fusion.md.",),
        data={q.name: {"words": q.words, "vectors": q.meaning, "fused": q.fused} for q in sets},
    )


def _sessions(context: Context, vectors: Vectors) -> Row:
    assert context.sessions is not None
    count, found = measure_sessions(context.sessions, vectors, within=True)
    hits, reciprocal = found["fused"]
    return Row(
        what=f"agents' sessions within a repo, {count} questions with an answer",
        target=f"above plain full text: hit@10 {PLAIN_HITS}, MRR {PLAIN_MRR}",
        khive=f"hit@10 {hits:.3f}, MRR {reciprocal:.3f}",
        peers=tuple(
            f"{name}: hit@10 {found[arm][0]:.3f}, MRR {found[arm][1]:.3f}"
            for arm, name in (("words", "full text"), ("meaning", "vectors"))
        ),
        met=hits > PLAIN_HITS and reciprocal > PLAIN_MRR,
        data={arm: {"hits": h, "mrr": m} for arm, (h, m) in found.items()},
    )
