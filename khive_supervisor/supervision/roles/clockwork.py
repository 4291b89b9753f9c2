"""What comes due by the clock: tasks that wait for a time, approvals that expire, schedules.

Runs in the maintenance thread. Whatever it does is in the store, once, whoever else does it too.
"""

from __future__ import annotations

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.packs.agents import selecting
from khive_supervisor.store.interface import Store
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.definitions import read
from khive_supervisor.workflows.model import NewRun, Schedule
from khive_supervisor.workflows.planning import Caller, plan

log = logs.get("khive.schedules")

#: Seconds between two looks at least, while anything is to come: a clock may be set meanwhile.
LOOK = 15.0


def look(store: Store, now: float) -> float | None:
    """Do what is due at `now` (unix seconds).

    Return in how many seconds to look again, `LOOK` at most; None: nothing is to come.
    """
    store.workflows.come_due(now)
    due = [_see_to(store, one, now) for one in store.schedules.all() if not one.paused]
    coming = [at for at in (*due, store.workflows.next_due()) if at is not None]
    return min(max(0.0, min(coming) - now), LOOK) if coming else None


def _see_to(store: Store, schedule: Schedule, now: float) -> float | None:
    """Begin what a schedule is due for; return when it is due next."""
    new = schedule.new
    found = schedules.look(new.cron, new.zone, new.catch_up, schedule.seen, now)
    due = found.missed if found.run is None else found.run
    if due is not None:
        _fire(store, schedule, due, now, missed=found.run is None)
    elif schedule.seen - now > schedules.SET_BACK:
        store.schedules.looked(schedule.id, now)
    after = now if due is not None else max(now, min(schedule.seen, now + schedules.SET_BACK))
    return schedules.next_due(new.cron, new.zone, after)


def _fire(store: Store, schedule: Schedule, due: float, now: float, *, missed: bool) -> None:
    try:
        run = None if missed else _planned(store, schedule, now)
        begun = store.schedules.fire(schedule.id, due, now, run)
    except StoreUnavailable:
        raise  # busy or full: the next look tries that time again
    except KhiveError as error:
        # Its role is gone, or its budget exceeded: that time is missed, and the next one is tried.
        log.error("schedule.not_begun", schedule=schedule.id, due=due, error=str(error))
        store.schedules.fire(schedule.id, due, now, None)
        return
    if begun is not None:
        log.info("schedule.fired", schedule=schedule.id, due=due, run=begun.id)


def _planned(store: Store, schedule: Schedule, now: float) -> NewRun:
    new = schedule.new
    caller = Caller(
        now, new.actor, new.namespace, new.session, new.cwd, new.project, schedule=schedule.id
    )
    return plan(
        read(new.definition),
        new.input,
        selecting.roles_of(store),
        lambda task_type, _: selecting.select(store, task_type, now),
        caller,
    )
