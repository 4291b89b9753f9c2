"""What a control connection may ask of the supervisor, and who is recorded as having asked."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor import logs
from khive_supervisor.access.grant import Grant, check_operator
from khive_supervisor.access.seen import OF_COMMAND, roles_for, status_for
from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput
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

log = logs.get("khive.supervisor")

#: What an operation is given, and what it answers: plain data that JSON can carry.
Arguments = Mapping[str, Any]
Answer = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who is at the other end of a connection: its name in the audit chain, and what it may do."""

    who: str
    grant: Callable[[], Awaitable[Grant]]


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of control connections; used only from the supervisor's loop.

    Attributes:
        whole_status: returns what is told of all parts.
        store: the path of the store.
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

    async def serve(self, arrival: Arrival) -> None:
        """Answer one connection until its client leaves."""
        asker = Asker(self._who(arrival), functools.partial(self.grants.of_control, arrival))
        names = (*OF_ANYBODY, *OF_OPERATORS)
        answers = {name: functools.partial(self._answer, asker, name) for name in names}
        await answer_requests(arrival, answers)

    async def _answer(self, asker: Asker, name: str, args: Arguments) -> Answer:
        if name in OF_OPERATORS:
            check_operator(await asker.grant(), f"The supervisor's {name}")
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

    async def _ping(self, _asker: Asker, _args: Arguments) -> Answer:
        return {"pid": os.getpid(), "store": self.store}

    async def _grant(self, asker: Asker, _args: Arguments) -> Answer:
        """Return what whoever asks may do: commands that ask nothing else go by it as well."""
        return (await asker.grant()).as_dict()

    async def _status(self, asker: Asker, _args: Arguments) -> Answer:
        grant = await asker.grant()
        return status_for(await self.whole_status(), grant, grant.owners, OF_COMMAND)

    async def _counters(self, _asker: Asker, _args: Arguments) -> Answer:
        return {"workers": self.sessions.counts(), "reloads": dict(self.reloader.outcomes)}

    async def _stop(self, asker: Asker, args: Arguments) -> Answer:
        self.ending.soon(asker.who, sessions=bool(args.get("sessions")))
        return {"pid": os.getpid(), "sessions": len(self.sessions)}

    async def _upgrade(self, _asker: Asker, args: Arguments) -> Answer:
        return await self.upgrader.ask(args)

    async def _reload(self, asker: Asker, args: Arguments) -> Answer:
        if args.get("dry_run"):
            return await self.reloader.rehearse()
        result = await self.reloader.ask("reload", str(args.get("digest") or ""), asker.who)
        await self.records.outbox.flush()
        return result.as_dict()

    async def _rescue(self, asker: Asker, args: Arguments) -> Answer:
        file = args.get("file")
        if not isinstance(file, str) or not os.path.isabs(file):
            raise InvalidInput("The file to save to is needed, by its whole path.")
        size = await self.upkeep.rescue(file)
        log.warning("store.rescued", file=file, by=asker.who)
        return {"file": file, "bytes": size}

    # --- the index ------------------------------------------------------------------------------

    async def _index_build(self, asker: Asker, _args: Arguments) -> Answer:
        if self.upkeep.model_id is None:
            raise InvalidInput(
                "There is no embedder, so there are no vectors to build an index of.",
                hint='Set embedder.kind to "minilm" or "openai".',
            )
        builder = self.upkeep.builder
        started = builder.build("asked for", force=True)
        self.records.note("index.build", actors.INDEX, {"started": started}, actor=asker.who)
        return {"started": started, "running": builder.running}

    async def _index_damaged(self, _asker: Asker, args: Arguments) -> Answer:
        log.warning("index.reported", error=str(args.get("error", ""))[:500])
        self.upkeep.check_again()
        return {}

    # --- roles ----------------------------------------------------------------------------------

    async def _roles_drain(self, asker: Asker, args: Arguments) -> ServiceAnswer:
        role, again = _role_of(args), bool(args.get("reload"))
        answer = await self.roles.drain(role, reload=again)
        return await self._on_record("replaced" if again else "drained", role, answer, asker)

    async def _roles_resume(self, asker: Asker, args: Arguments) -> ServiceAnswer:
        role = _role_of(args)
        return await self._on_record("resumed", role, await self.roles.resume(role), asker)

    async def _roles_status(self, asker: Asker, _args: Arguments) -> Answer:
        return {"roles": roles_for(self.roles.describe(), await asker.grant())}

    async def _on_record(
        self, kind: str, role: str, answer: ServiceAnswer, asker: Asker
    ) -> ServiceAnswer:
        """Record what was done with a role before it is answered, if the disk allows."""
        self.records.note(f"role.{kind}", actors.role(role), answer, actor=asker.who)
        await self.records.outbox.flush()
        return answer


Operation = Callable[[Operations, Asker, Arguments], Awaitable[Answer]]

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
    "index.build": Operations._index_build,
    "reload": Operations._reload,
    "roles.drain": Operations._roles_drain,
    "roles.resume": Operations._roles_resume,
}


def _role_of(args: Arguments) -> str:
    role = args.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidInput("A role is needed, by its name.")
    return role
