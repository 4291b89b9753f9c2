"""How many entries of the audit chain are checked in a second."""

from __future__ import annotations

import shutil
import time

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from khive_supervisor.audit.verify import verify_chain
from khive_supervisor.sqlite.store import SqliteStore

#: Entries of the chain, and how many of them are to be checked in a second.
ENTRIES, TARGET = 1_000_000, 100_000


def measure(context: Context) -> list[Row]:
    """The row of a check from the first entry to the last, as `audit verify` does it."""
    work = context.work / "audit-verify"
    shutil.rmtree(work, ignore_errors=True)
    count = context.times(ENTRIES)
    with SqliteStore(str(work / "khive.db")) as store:
        with store.transaction():
            for number in range(count):
                detail = {"kind": "depends_on", "to": f"m{number}", "note": "as a link has it"}
                store.audit.record("link.added", f"entry/m{number}", detail, actor="session:s/ada")
        began = time.perf_counter()
        report = verify_chain(store.audit, [store.audit.head()])
        took = time.perf_counter() - began
    rate = count / took
    return [
        Row(
            what=f"audit verify, {count} entries",
            target=f"{TARGET} entries/s",
            khive=f"{rate:,.0f} entries/s ({took:.1f} s)",
            met=report.intact and report.entries == count and rate >= TARGET,
            data={"entries": count, "seconds": took, "intact": report.intact},
        )
    ]
