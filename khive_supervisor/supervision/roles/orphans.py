"""Tasks that workers of an earlier supervisor held."""

from __future__ import annotations

from khive_supervisor.host.processes import alive
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.supervision.processes.strays import end_strays
from khive_supervisor.tasks.model import LEASED, TaskFilter

#: Tasks at work that are looked at when the supervisor starts; there are as many as workers.
HELD_LIMIT = 1000


def release_dead(tasks: TaskStore) -> None:
    """Queue at once what workers of an earlier supervisor held that are dead, too.

    Those that live finish what they hold. A number that is another process's by now costs the rest
    of a lease, nothing more.
    """
    held = tasks.page(TaskFilter(state=LEASED), limit=HELD_LIMIT)
    dead = {task.worker for task in held if task.worker and _is_dead(task.worker)}
    if dead:
        end_strays(dead)  # before somebody else begins with the same
    for worker in dead:
        tasks.release(worker)


def _is_dead(worker: str) -> bool:
    pid = worker.rpartition(":")[2]
    return pid.isdecimal() and not alive(int(pid))
