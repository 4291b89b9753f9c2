"""The quality of what is found, on sets of questions and on agents' sessions."""

from __future__ import annotations

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.search.retrieval import Vectors, measure_sessions, measure_sets

#: Points of nDCG@10 that the fusion may be below the better arm.
ALLOWED = 0.5
#: What plain full text reaches within a repo: hit@10 and MRR.
PLAIN_HITS, PLAIN_MRR = 0.895, 0.547


def measure(context: Context) -> list[Row]:
    """The rows of quality; without material they say so."""
    vectors = Vectors(context.work / "quality")
    rows = []
    if context.retrieval is not None:
        rows.append(_sets(context, vectors))
    if context.sessions is not None:
        rows.append(_sessions(context, vectors))
    return rows


def _sets(context: Context, vectors: Vectors) -> Row:
    assert context.retrieval is not None
    sets = list(measure_sets([context.retrieval], vectors))
    mean = sum(q.gain for q in sets) / len(sets)
    return Row(
        what="fused quality, nDCG@10 in points",
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
