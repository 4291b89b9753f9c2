"""What each further session costs in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import Memory, memory_of, processes_of
from benchmarks.core.report import Row
from benchmarks.core.session import Session, opened

#: Sessions that are open; searches that each of them has made.
SESSIONS, SEARCHES = 20, 5
#: Bytes by which the proportional set size of all processes grows for each session, worker and
#: attach together, without the index.
LIMIT = 12 * 1024 * 1024

_MB = 1024 * 1024


def measure(context: Context) -> list[Row]:
    """The row of memory."""
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        before = _all(khive)
        with opened(khive.attach(), SESSIONS) as sessions:
            _search(sessions, context)
            workers = khive.workers(SESSIONS)
            attached = [memory_of(s.process.pid) for s in sessions]
            working = [memory_of(workers[s.process.pid]) for s in sessions]
            shared = _shared(khive)
            after = _all(khive)
    with opened(context.peers.plain, SESSIONS) as sessions:
        _search(sessions, context)
        plain = [memory_of(s.process.pid) for s in sessions]
    each = (after - before) / SESSIONS
    size = os.path.getsize(context.prepared.index)
    index = sum(m.index for m in [*working, *shared.values()])
    return [
        Row(
            what=f"memory of each further session, {SESSIONS} open, "
            f"{len(context.material.texts)} entries",
            target=f"PSS <= {LIMIT // _MB} MB, the index once",
            khive=f"{_mb(each)} more for each session; its own PSS, which counts a share of what "
            f"all share: worker {_mb(_mean([m.rest for m in working]))}, attach "
            f"{_mb(_mean([m.rest for m in attached]))}; index once: {_mb(index)} resident of "
            f"{_mb(size)}",
            peers=(
                (
                    f"plain server: {_mb(_mean([m.rest for m in plain]))} each; index once: "
                    f"{_mb(sum(m.index for m in plain))} resident"
                ),
            ),
            met=each <= LIMIT,
            notes=(
                f"Each session has searched {SEARCHES} times. Private and written to: worker "
                f"{_mb(_mean([m.dirty for m in working]))}, attach "
                f"{_mb(_mean([m.dirty for m in attached]))}, plain server "
                f"{_mb(_mean([m.dirty for m in plain]))}. Once for all sessions: "
                + ", ".join(f"{name} {_mb(m.rest)}" for name, m in shared.items())
                + ".",
            ),
            data={
                "worker": [_plain(m) for m in working],
                "attach": [_plain(m) for m in attached],
                "plain_server": [_plain(m) for m in plain],
                "shared": {name: _plain(m) for name, m in shared.items()},
                "index_bytes": size,
            },
        )
    ]


def _search(sessions: Sequence[Session], context: Context) -> None:
    for session in sessions:
        for query in context.queries(SEARCHES):
            session.search(query)


def _all(khive: Installation) -> int:
    """What all processes take together, those included that wait for a session to come."""
    return sum(memory_of(pid).rest for pid in processes_of(khive.home))


def _shared(khive: Installation) -> dict[str, Memory]:
    """What runs once, whatever the number of sessions."""
    status = khive.status()
    pids = {"supervisor": status["pid"], **{c["name"]: c["pid"] for c in status["children"]}}
    return {name: memory_of(pid) for name, pid in pids.items() if pid}


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def _mb(size: float) -> str:
    return f"{size / _MB:.1f} MB"


def _plain(memory: Memory) -> dict[str, int]:
    return {"index": memory.index, "rest": memory.rest, "private_dirty": memory.dirty}
