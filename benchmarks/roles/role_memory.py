"""What each further idle role worker costs in memory."""

from __future__ import annotations

from benchmarks.core.context import Context
from benchmarks.core.processes import memory_of, processes_of
from benchmarks.core.report import Row
from benchmarks.roles.rolework import RoleWork, working

WORKERS = 20
#: Bytes by which the proportional set size of all processes grows for each worker.
LIMIT = 10 * 1024 * 1024

_MB = 1024 * 1024


def measure(context: Context) -> list[Row]:
    """The row of memory."""
    with working(context.work) as bench:
        bench.configure({"one": 1})
        bench.khive.start()
        bench.until_ready({"one": 1})
        before = _whole(bench)
        bench.configure({"one": 1 + WORKERS})
        bench.reload()
        bench.until_ready({"one": 1 + WORKERS})
        each = (_whole(bench) - before) / WORKERS
        own = [memory_of(pid) for pid in bench.pids()]
    pss = sum(m.rest for m in own) / len(own)
    dirty = sum(m.dirty for m in own) / len(own)
    return [
        Row(
            what=f"memory of each further idle role worker, {WORKERS} more than one",
            target=f"PSS <= {LIMIT // _MB} MB",
            khive=f"{each / _MB:.1f} MB more for each worker; its own PSS {pss / _MB:.1f} MB, of "
            f"which private and written to: {dirty / _MB:.1f} MB",
            met=each <= LIMIT,
            notes=(
                (
                    "By how much the proportional set sizes of all processes grow together, when "
                    "a reload changes the number of workers of a role with a function."
                ),
            ),
            data={"each": each, "pss": [m.rest for m in own], "dirty": [m.dirty for m in own]},
        )
    ]


def _whole(bench: RoleWork) -> int:
    return sum(memory_of(pid).rest for pid in processes_of(bench.khive.home))
