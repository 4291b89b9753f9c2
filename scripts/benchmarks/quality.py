"""The quality of what is found: measured by scripts/bench_quality, shown here beside the rest."""

from __future__ import annotations

from benchmarks.context import Context
from benchmarks.report import Row


def measure(_context: Context) -> list[Row]:
    """The rows of quality."""
    return [
        Row(
            what="fused quality, nDCG@10",
            target="never > 0.5 points below the better arm, above it on average",
            khive="see scripts/bench_quality",
        )
    ]
