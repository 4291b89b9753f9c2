"""The tables of schedules: what is to run again and again, and the times that were seen to."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from khive_supervisor.audit import actors
from khive_supervisor.errors import NotFound
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.workflows.runs import WorkflowTable
from khive_supervisor.store.workflows.schedules import ScheduleStore
from khive_supervisor.text import wellformed
from khive_supervisor.workflows.model import Firing, NewRun, NewSchedule, Schedule, WorkflowRun

_COLUMNS = (
    "id, name, cron, definition, input, zone, catch_up, actor, namespace, session, cwd, project, "
    "configured, seen, created_at, paused"
)


class ScheduleTable(ScheduleStore):
    """`ScheduleStore` on SQLite."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        audit: AuditTable,
        runs: WorkflowTable,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._runs = runs

    def add(self, schedule: NewSchedule) -> Schedule:
        gate = self._database.gate
        row = self._row(schedule, gate.said_data(dict(schedule.input), "input"))
        with self._database.write():
            wall = self._clock()
            number = self._database.insert("schedules", **row, seen=wall, created_at=wall)
            self._told(wall, number, "created", schedule)
            return self._existing(number)

    def _row(self, schedule: NewSchedule, given: object) -> dict[str, Value]:
        gate = self._database.gate
        definition = gate.said_data(dict(schedule.definition), "definition")
        project = None if schedule.project is None else json.dumps(dict(schedule.project))
        return {
            "name": schedule.name,
            "cron": schedule.cron,
            "definition": gate.passed(json.dumps(definition, ensure_ascii=False)),
            "input": gate.passed(json.dumps(given, ensure_ascii=False)),
            "zone": schedule.zone,
            "catch_up": schedule.catch_up,
            "actor": schedule.actor,
            "namespace": schedule.namespace,
            "session": schedule.session,
            "cwd": gate.written(schedule.cwd),
            "project": None if project is None else gate.passed(project),
            "configured": int(schedule.configured),
        }

    def configure(self, schedules: Sequence[NewSchedule]) -> None:
        wanted = {one.name: one for one in schedules}
        known = {one.new.name: one.new for one in self._configured()}
        ours = self._named_here()
        if all(known.get(name) == one for name, one in wanted.items()):
            others = known.keys() - wanted.keys()
            if not (others if ours is None else ours ^ wanted.keys()):
                return
        with self._database.write():
            wall = self._clock()
            before = {one.new.name: one for one in self._configured()}
            for name in self._given_up(before.keys() - wanted.keys()):
                self._remove(before[name], wall)
            for name, schedule in wanted.items():
                self._configure(before.get(name), schedule, wall)
            if ours is not None:
                self._name_here(wanted)

    def _named_here(self) -> set[str] | None:
        """Return which schedules this node's configuration named; None: there are no nodes."""
        if not self._database.shared:
            return None
        sql = "SELECT name FROM schedule_nodes WHERE node = ?"
        return {name for (name,) in self._database.rows(sql, [self._audit.origin])}

    def _given_up(self, names: Collection[str]) -> list[str]:
        """Return those of some schedules that this node's configuration was the last to name."""
        ours = self._named_here()
        if ours is None:
            return sorted(names)
        sql = "SELECT name FROM schedule_nodes WHERE node <> ?"
        others = {name for (name,) in self._database.rows(sql, [self._audit.origin])}
        return sorted((ours & set(names)) - others)

    def _name_here(self, wanted: Collection[str]) -> None:
        """Note which schedules this node's configuration names, once the whole team knows of it."""
        if node := self._audit.origin:
            self._database.rows("DELETE FROM schedule_nodes WHERE node = ?", [node])
            for name in wanted:
                sql = "INSERT INTO schedule_nodes (name, node) VALUES (?, ?)"
                self._database.rows(sql, [self._database.gate.said(name, "name"), node])

    def _configured(self) -> list[Schedule]:
        return [one for one in self.all() if one.new.configured]

    def _configure(self, before: Schedule | None, schedule: NewSchedule, wall: float) -> None:
        if before is None:
            self.add(schedule)
        elif before.new != schedule:
            # Another time: what it was due for before now by the new one does not count.
            seen = {} if before.new.cron == schedule.cron else {"seen": wall}
            row = self._row(schedule, dict(schedule.input))
            self._database.update("schedules", before.id, **row, **seen)
            self._told(wall, before.id, "changed", schedule)

    def all(self) -> list[Schedule]:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM schedules ORDER BY id")
        return [_schedule_of(row) for row in rows]

    def ours(self) -> list[Schedule]:
        # One that nobody is known to have made is of a time before there were members.
        sql = (
            f"SELECT {_COLUMNS} FROM schedules WHERE coalesce((SELECT member FROM schedule_members "
            "WHERE schedule_id = schedules.id), '') IN ('', (SELECT member FROM replica)) "
            "ORDER BY id"
        )
        if not self._database.shared:
            return self.all()
        return [_schedule_of(row) for row in self._database.rows(sql)]

    def _existing(self, number: int) -> Schedule:
        rows = self._database.rows(f"SELECT {_COLUMNS} FROM schedules WHERE id = ?", [number])
        if not rows:
            raise NotFound(
                f"There is no schedule s{number}.", hint="`khive-supervisor schedules` lists them."
            )
        return _schedule_of(rows[0])

    def remove(self, number: int) -> Schedule:
        with self._database.write():
            found = self._existing(number)
            self._remove(found, self._clock())
            return found

    def _remove(self, found: Schedule, wall: float) -> None:
        self._database.rows("DELETE FROM schedule_firings WHERE schedule_id = ?", [found.id])
        self._database.rows("DELETE FROM schedules WHERE id = ?", [found.id])
        self._told(wall, found.id, "removed", found.new)

    def pause(self, number: int, *, paused: bool) -> Schedule:
        with self._database.write():
            found = self._existing(number)
            if found.paused != paused:
                wall = self._clock()
                # What it was due for while it was paused does not count.
                seen = {} if paused else {"seen": wall}
                self._database.update("schedules", number, paused=int(paused), **seen)
                self._told(wall, number, "paused" if paused else "resumed", found.new)
            return self._existing(number)

    def firings(self, number: int, limit: int = 20) -> list[Firing]:
        rows = self._database.rows(
            "SELECT schedule_id, due, at, run_id FROM schedule_firings WHERE schedule_id = ? "
            "ORDER BY due DESC LIMIT ?",
            [number, limit],
        )
        return [Firing(*row) for row in rows]

    def fire(self, number: int, due: float, now: float, run: NewRun | None) -> WorkflowRun | None:
        with self._database.write():
            rows = self._database.rows(f"SELECT {_COLUMNS} FROM schedules WHERE id = ?", [number])
            if not rows:
                return None
            schedule = _schedule_of(rows[0])
            if schedule.paused:
                return None
            self._database.update("schedules", number, seen=now)
            first = self._database.changed(
                "INSERT INTO schedule_firings (schedule_id, due, at) VALUES (?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [number, due, now],
            )
            if not first:
                return None
            self._told(now, number, "missed" if run is None else "fired", schedule.new, due)
            return None if run is None else self._begin(number, due, run)

    def _begin(self, number: int, due: float, run: NewRun) -> WorkflowRun:
        begun, _ = self._runs.begin(run)
        self._database.rows(
            "UPDATE schedule_firings SET run_id = ? WHERE schedule_id = ? AND due = ?",
            [begun.id, number, due],
        )
        return begun

    def looked(self, number: int, now: float) -> None:
        with self._database.write():
            self._database.update("schedules", number, seen=now)

    def _told(
        self, wall: float, number: int, what: str, schedule: NewSchedule, due: float | None = None
    ) -> None:
        told: dict[str, object] = {"name": schedule.name, "cron": schedule.cron}
        if due is not None:
            told["due"] = due
        self._audit.append(wall, f"schedule.{what}", actors.schedule(number), told)


def _schedule_of(row: tuple[Any, ...]) -> Schedule:
    number, name, cron, definition, given, zone, catch_up, *callers = row
    actor, namespace, session, cwd, project, configured, seen, created_at, paused = callers
    new = NewSchedule(
        name,
        cron,
        _plain(definition),
        _plain(given),
        zone,
        catch_up,
        actor,
        namespace,
        session,
        cwd,
        None if project is None else _plain(project),
        bool(configured),
    )
    return Schedule(number, new, seen, created_at, bool(paused))


def _plain(text: str) -> Any:
    return json.loads(wellformed.json_escapes(text))
