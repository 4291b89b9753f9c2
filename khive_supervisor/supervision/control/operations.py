"""What a control connection may ask of the supervisor, and who is recorded as having asked."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor import logs
from khive_supervisor.access.grant import check_operator
from khive_supervisor.access.seen import OF_COMMAND, roles_for, status_for
from khive_supervisor.audit import actors
from khive_supervisor.control import measured
from khive_supervisor.errors import InvalidInput
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.control.desk import DeskDoor
from khive_supervisor.supervision.control.ending import Ending
from khive_supervisor.supervision.control.grants import Grants
from khive_supervisor.supervision.control.server import Arrival, answer_requests
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.control.socket_file import peer_pid
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.maintenance.work import Upkeep
from khive_supervisor.supervision.reload.reloader import Reloader
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.roles.status import ServiceAnswer
from khive_supervisor.supervision.upgrade.handover import Upgrader
from khive_supervisor.team import waiting
from khive_supervisor.team.waiting import WaitingCall

log = logs.get("khive.supervisor")

#: What an operation is given, and what it answers: plain data that JSON can carry.
Arguments = Mapping[str, Any]
Answer = Mapping[str, object]
#: Digits of a number that the store can have.
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of control connections; used only from the supervisor's loop.

    Attributes:
        whole_status: returns what is told of all parts.
        store: the path of the store.
        desk: the page's door.
    """

    sessions: SessionTable
    reloader: Reloader
    roles: Roles
    records: AuditEvents
    upkeep: Upkeep
    ending: Ending
    upgrader: Upgrader
    grants: Grants
    whole_status: Callable[[], Awaitable[Answer]]
    store: str
    desk: DeskDoor

    async def serve(self, arrival: Arrival) -> None:
        """Answer one connection until its client leaves."""
        names = (*OF_ANYBODY, *OF_OPERATORS)
        answers = {name: functools.partial(self._answer, arrival, name) for name in names}
        await answer_requests(arrival, answers)

    async def _answer(self, asker: Arrival, name: str, args: Arguments) -> Answer:
        if name in OF_OPERATORS:
            check_operator(await self.grants.of_control(asker), f"The supervisor's {name}")
            return await OF_OPERATORS[name](self, asker, args)
        return await OF_ANYBODY[name](self, asker, args)

    def _who(self, arrival: Arrival) -> str:
        """Return who is at the other end: a session's worker, or a command."""
        pid = peer_pid(arrival.conn)
        for session in self.sessions:
            if session.pid == pid:
                return actors.session(session.id, "")
        return actors.command(pid)

    # --- the supervisor -------------------------------------------------------------------------

    async def _ping(self, _asker: Arrival, _args: Arguments) -> Answer:
        return {"pid": os.getpid(), "store": self.store}

    async def _grant(self, asker: Arrival, _args: Arguments) -> Answer:
        """Return what whoever asks may do: commands that ask nothing else go by it as well."""
        return (await self.grants.of_control(asker)).as_dict()

    async def _status(self, asker: Arrival, _args: Arguments) -> Answer:
        grant = await self.grants.of_control(asker)
        return status_for(await self.whole_status(), grant, grant.owners, OF_COMMAND)

    async def _counters(self, _asker: Arrival, _args: Arguments) -> Answer:
        counted = Counter(self.sessions.counts())
        counted.update(measured.counts())  # what this process has measured itself
        return {"workers": dict(counted), "reloads": dict(self.reloader.outcomes)}

    async def _stop(self, asker: Arrival, args: Arguments) -> Answer:
        self.ending.soon(self._who(asker), sessions=bool(args.get("sessions")))
        return {"pid": os.getpid(), "sessions": len(self.sessions)}

    async def _upgrade(self, _asker: Arrival, args: Arguments) -> Answer:
        return await self.upgrader.ask(args)

    async def _reload(self, asker: Arrival, args: Arguments) -> Answer:
        if args.get("dry_run"):
            return await self.reloader.rehearse()
        result = await self.reloader.ask("reload", str(args.get("digest") or ""), self._who(asker))
        await self.records.outbox.flush()
        return result.as_dict()

    async def _rescue(self, asker: Arrival, args: Arguments) -> Answer:
        file = args.get("file")
        if not isinstance(file, str) or not os.path.isabs(file):
            raise InvalidInput("The file to save to is needed, by its whole path.")
        size = await self.upkeep.with_store(functools.partial(_copied, file))
        log.warning("store.rescued", file=file, by=self._who(asker))
        return {"file": file, "bytes": size}

    # --- the page -------------------------------------------------------------------------------

    async def _desk_open(self, _asker: Arrival, _args: Arguments) -> Answer:
        return await self.desk.open()

    async def _desk_redeem(self, asker: Arrival, args: Arguments) -> Answer:
        """Let the HTTP worker know whether who shows a ticket may log in."""
        valid = self.desk.tickets.redeem(str(args.get("ticket", "")))
        if valid:
            self.records.note("desk.login", actors.user(), {}, actor=self._who(asker))
        return {"valid": valid}

    # --- the index ------------------------------------------------------------------------------

    async def _index_build(self, asker: Arrival, _args: Arguments) -> Answer:
        if self.upkeep.model_id is None:
            raise InvalidInput(
                "There is no embedder, so there are no vectors to build an index of.",
                hint='Set embedder.kind to "minilm" or "openai".',
            )
        builder = self.upkeep.builder
        started = builder.build("asked for", force=True)
        self.records.note("index.build", actors.INDEX, {"started": started}, actor=self._who(asker))
        return {"started": started, "running": builder.running}

    async def _index_damaged(self, _asker: Arrival, args: Arguments) -> Answer:
        log.warning("index.reported", error=str(args.get("error", ""))[:500])
        self.upkeep.check_again()
        return {}

    # --- roles ----------------------------------------------------------------------------------

    async def _roles_drain(self, asker: Arrival, args: Arguments) -> ServiceAnswer:
        role, again = _role_of(args), bool(args.get("reload"))
        answer = await self.roles.drain(role, reload=again)
        return await self._on_record("replaced" if again else "drained", role, answer, asker)

    async def _roles_resume(self, asker: Arrival, args: Arguments) -> ServiceAnswer:
        role = _role_of(args)
        return await self._on_record("resumed", role, await self.roles.resume(role), asker)

    async def _roles_status(self, asker: Arrival, _args: Arguments) -> Answer:
        return {"roles": roles_for(self.roles.describe(), await self.grants.of_control(asker))}

    async def _on_record(
        self, kind: str, role: str, answer: ServiceAnswer, asker: Arrival
    ) -> ServiceAnswer:
        """Record what was done with a role before it is answered, if the disk allows."""
        self.records.note(f"role.{kind}", actors.role(role), answer, actor=self._who(asker))
        await self.records.outbox.flush()
        return answer

    # --- writes that wait for a team's server ---------------------------------------------------

    async def _team_retry(self, asker: Arrival, args: Arguments) -> Answer:
        number = _number_of(args)
        call, again = await self.upkeep.with_store(functools.partial(_retried, number))
        self._note_write("retried", call, {"again": again}, asker)
        return {"number": again}

    async def _team_drop(self, asker: Arrival, args: Arguments) -> Answer:
        number = _number_of(args)
        call = await self.upkeep.with_store(lambda store: store.waiting.drop(number))
        self._note_write("dropped", call, {}, asker)
        return {**waiting.shown(call)}

    def _note_write(
        self, done: str, call: WaitingCall, more: Mapping[str, object], asker: Arrival
    ) -> None:
        """Record what was done with a write: in the log now, since the chain may have to wait."""
        told = waiting.shown(call)
        detail = {"verb": told["verb"], "by": told["by"], "at": told["at"], **more}
        who, subject = self._who(asker), actors.waiting(call.number)
        log.warning(f"waiting.{done}", write=call.number, asked_by=who, **detail)
        self.records.note(f"waiting.{done}", subject, detail, actor=who)


Operation = Callable[[Operations, Arrival, Arguments], Awaitable[Answer]]

#: What everybody may ask who reaches the socket, and what only an operator may.
OF_ANYBODY: Mapping[str, Operation] = {
    "ping": Operations._ping,
    "grant": Operations._grant,
    "status": Operations._status,
    "counters": Operations._counters,
    "index.damaged": Operations._index_damaged,
    "roles.status": Operations._roles_status,
}
OF_OPERATORS: Mapping[str, Operation] = {
    "stop": Operations._stop,
    "upgrade": Operations._upgrade,
    "rescue": Operations._rescue,
    "desk.open": Operations._desk_open,
    "desk.redeem": Operations._desk_redeem,
    "index.build": Operations._index_build,
    "reload": Operations._reload,
    "roles.drain": Operations._roles_drain,
    "roles.resume": Operations._roles_resume,
    "team.retry": Operations._team_retry,
    "team.drop": Operations._team_drop,
}


def _copied(file: str, store: Store) -> int:
    """Copy the store to a new file, as it is open, whatever is at its path now; its bytes."""
    store.backup(file)
    return os.path.getsize(file)


def _role_of(args: Arguments) -> str:
    role = args.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidInput("A role is needed, by its name.")
    return role


def _number_of(args: Arguments) -> int:
    """Return which write is meant; a page's form says it as text."""
    text = str(args.get("number", ""))
    if not (text.isascii() and text.isdecimal() and 0 < len(text) <= _DIGITS):
        raise InvalidInput("A write is needed, by its number.")
    return int(text)


def _retried(number: int, store: Store) -> tuple[WaitingCall, int]:
    call = store.waiting.named(number)
    return call, store.waiting.retry(number)
