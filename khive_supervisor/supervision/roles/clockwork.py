"""What comes due by the clock: tasks that wait for a time, approvals that expire, schedules.

Runs in the maintenance thread. Whatever it does is in the store, once, whoever else does it too; in
a team one node does it.
"""

from __future__ import annotations

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.packs.agents import selecting
from khive_supervisor.store.interface import Store
from khive_supervisor.store.workflows.offices import SCHEDULES, Office, Superseded
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.definitions import read
from khive_supervisor.workflows.model import NewRun, Schedule, WorkflowRun
from khive_supervisor.workflows.planning import Caller, plan

log = logs.get("khive.schedules")

#: Seconds between two looks at least, while anything is to come: a clock may be set meanwhile.
LOOK = 15.0
#: Seconds until a node that stands by looks whether it is the one now.
STAND_BY = 2.0


def look(store: Store, now: float, office: Office | None = None) -> float | None:
    """Do what is due at `now` (unix seconds; in a team, by the server's clock instead).

    In a team the node does so that holds the office of schedules; the others stand by.

    Return in how many seconds to look again, `LOOK` at most; None: nothing is to come.
    """
    ours = store.server_time()
    now = now if ours is None else ours
    schedules_there = [one for one in store.schedules.ours() if not one.paused]
    if not schedules_there and store.workflows.next_due() is None:
        return None
    office = office or Office(SCHEDULES)
    try:
        if not office.held(store.offices):
            return STAND_BY
        store.workflows.come_due(now)
        due = [_see_to(store, one, now, office) for one in schedules_there]
    except Superseded as error:
        log.info("schedules.superseded", why=error.message)
        return STAND_BY
    coming = [at for at in (*due, store.workflows.next_due()) if at is not None]
    return min(max(0.0, min(coming) - now), LOOK) if coming else None


def _see_to(store: Store, schedule: Schedule, now: float, office: Office) -> float | None:
    """Begin what a schedule is due for; return when it is due next."""
    new = schedule.new
    found = schedules.look(new.cron, new.zone, new.catch_up, schedule.seen, now)
    due = found.missed if found.run is None else found.run
    if due is not None:
        _fire(store, schedule, due, now, office, missed=found.run is None)
    elif schedule.seen - now > schedules.SET_BACK:
        store.schedules.looked(schedule.id, now)
    after = now if due is not None else max(now, min(schedule.seen, now + schedules.SET_BACK))
    return schedules.next_due(new.cron, new.zone, after)


def _fire(
    store: Store, schedule: Schedule, due: float, now: float, office: Office, *, missed: bool
) -> None:
    try:
        run = None if missed else _planned(store, schedule, now)
        begun = _fired(store, schedule, due, now, office, run)
    except StoreUnavailable:
        raise  # busy or full: the next look tries that time again
    except KhiveError as error:
        # Its role is gone, or its budget exceeded: that time is missed, and the next one is tried.
        log.error("schedule.not_begun", schedule=schedule.id, due=due, error=str(error))
        _fired(store, schedule, due, now, office, None)
        return
    if begun is not None:
        log.info("schedule.fired", schedule=schedule.id, due=due, run=begun.id)


def _fired(
    store: Store, schedule: Schedule, due: float, now: float, office: Office, run: NewRun | None
) -> WorkflowRun | None:
    with store.transaction(), office.acting(store.offices):
        return store.schedules.fire(schedule.id, due, now, run)


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
