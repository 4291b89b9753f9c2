"""What workers left that ended without seeing to it themselves: killed, or their supervisor was."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from khive_supervisor import logs
from khive_supervisor.config import snapshot
from khive_supervisor.host import process_tree
from khive_supervisor.host.process_tree import ProcessEntry

log = logs.get("khive.roles")


def end_strays(workers: Collection[str]) -> int:
    """End what tasks of these workers left, which are dead; how many there were.

    Args:
        workers: their names, each with its process number behind a colon, if that is known.
    """
    named = dict(worker.partition(":")[::2] for worker in workers)
    leaders = [int(pid) for pid in named.values() if pid.isdecimal()]
    ended = process_tree.end_all(lambda: _left(named, leaders))
    if ended:
        log.info("role.strays", workers=sorted(named), ended=ended)
    return ended


def _left(names: Collection[str], leaders: Collection[int]) -> Iterator[ProcessEntry]:
    yield from process_tree.marked(names)
    for leader in leaders:
        yield from process_tree.of_session(leader, snapshot.VARIABLE)
