"""What a control connection may ask of the supervisor, and who is recorded as having asked."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from khive_supervisor import logs
from khive_supervisor.access.grant import Grant, check_operator
from khive_supervisor.access.seen import OF_COMMAND, roles_for, status_for
from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput
from khive_supervisor.supervision.control.server import Arrival, Operation, answer_requests
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.control.socket_file import peer_pid
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents
from khive_supervisor.supervision.maintenance.work import Upkeep
from khive_supervisor.supervision.reload.reloader import Reloader
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.roles.status import ServiceAnswer

log = logs.get("khive.supervisor")


class End(Protocol):
    """Ends the supervisor, soon enough and not before the answer has left."""

    def __call__(self, who: str, *, sessions: bool) -> None:
        """`who` asked for it; `sessions` are to end as well."""


class Operations:
    """The operations of control connections; used only from the supervisor's loop."""

    def __init__(
        self,
        sessions: SessionTable,
        reloader: Reloader,
        roles: Roles,
        records: AuditEvents,
        upkeep: Upkeep,
        status: Callable[[], Awaitable[Mapping[str, Any]]],
        end: End,
        upgrade: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
        grant_of: Callable[[Arrival], Awaitable[Grant]],
        *,
        store: str,
    ) -> None:
        self._grant_of = grant_of
        self._store = store
        self._sessions = sessions
        self._reloader = reloader
        self._roles = roles
        self._records = records
        self._upkeep = upkeep
        self._status_of_all = status
        self._end = end
        self._upgrade = upgrade

    async def serve(self, arrival: Arrival) -> None:
        """Answer one connection until its client leaves."""
        who = self._who(arrival.conn)
        by = functools.partial
        of_operators: dict[str, Operation] = {
            "stop": by(self._stop, who),
            "upgrade": self._upgrade,
            "rescue": by(self._rescue, who),
            "index.build": by(self._index_build, who),
            "reload": by(self._reload, who),
            "roles.drain": by(self._roles_drain, who),
            "roles.resume": by(self._roles_resume, who),
        }
        judged = {
            name: by(self._judged, arrival, name, operation)
            for name, operation in of_operators.items()
        }
        await answer_requests(
            arrival,
            {
                "ping": self._ping,
                "grant": by(self._grant, arrival),
                "status": by(self._status, arrival),
                "counters": self._counters,
                "index.damaged": self._index_damaged,
                "roles.status": by(self._roles_status, arrival),
                **judged,
            },
        )

    async def _judged(
        self, arrival: Arrival, name: str, operation: Operation, args: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Answer what only an operator may ask."""
        check_operator(await self._grant_of(arrival), f"The supervisor's {name}")
        return await operation(args)

    async def _grant(self, arrival: Arrival, _args: Mapping[str, Any]) -> Mapping[str, object]:
        """What whoever asks may do: commands that ask nothing else go by it as well."""
        return (await self._grant_of(arrival)).as_dict()

    def _who(self, conn: socket.socket) -> str:
        """Who is at the other end: a session's worker, or a command."""
        pid = peer_pid(conn)
        for session in self._sessions:
            if session.pid == pid:
                return actors.session(session.id, "")
        return actors.command(pid)

    # --- the supervisor -------------------------------------------------------------------------

    async def _ping(self, _args: Mapping[str, Any]) -> dict[str, Any]:
        return {"pid": os.getpid(), "store": self._store}

    async def _status(self, arrival: Arrival, _args: Mapping[str, Any]) -> dict[str, Any]:
        grant = await self._grant_of(arrival)
        return status_for(await self._status_of_all(), grant, grant.owners, OF_COMMAND)

    async def _counters(self, _args: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "workers": self._sessions.counts(),
            "reloads": dict(self._reloader.outcomes),
        }

    async def _stop(self, who: str, args: Mapping[str, Any]) -> dict[str, Any]:
        self._end(who, sessions=bool(args.get("sessions")))
        return {"pid": os.getpid(), "sessions": len(self._sessions)}

    async def _reload(self, who: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        if args.get("dry_run"):
            return await self._reloader.rehearse()
        result = await self._reloader.ask("reload", str(args.get("digest") or ""), who)
        await self._records.outbox.flush()
        return result.as_dict()

    async def _rescue(self, who: str, args: Mapping[str, Any]) -> dict[str, Any]:
        file = args.get("file")
        if not isinstance(file, str) or not os.path.isabs(file):
            raise InvalidInput("The file to save to is needed, by its whole path.")
        size = await self._upkeep.rescue(file)
        log.warning("store.rescued", file=file, by=who)
        return {"file": file, "bytes": size}

    # --- the index ------------------------------------------------------------------------------

    async def _index_build(self, who: str, _args: Mapping[str, Any]) -> dict[str, Any]:
        if self._upkeep.model_id is None:
            raise InvalidInput(
                "There is no embedder, so there are no vectors to build an index of.",
                hint='Set embedder.kind to "minilm" or "openai".',
            )
        builder = self._upkeep.builder
        started = builder.build("asked for", force=True)
        self._records.note("index.build", actors.INDEX, {"started": started}, actor=who)
        return {"started": started, "running": builder.running}

    async def _index_damaged(self, args: Mapping[str, Any]) -> dict[str, Any]:
        log.warning("index.reported", error=str(args.get("error", ""))[:500])
        self._upkeep.check_again()
        return {}

    # --- roles ----------------------------------------------------------------------------------

    async def _roles_drain(self, who: str, args: Mapping[str, Any]) -> ServiceAnswer:
        role, again = _role_of(args), bool(args.get("reload"))
        answer = await self._roles.drain(role, reload=again)
        return await self._on_record("replaced" if again else "drained", role, answer, who)

    async def _roles_resume(self, who: str, args: Mapping[str, Any]) -> ServiceAnswer:
        role = _role_of(args)
        answer = await self._roles.resume(role)
        return await self._on_record("resumed", role, answer, who)

    async def _roles_status(self, arrival: Arrival, _args: Mapping[str, Any]) -> dict[str, Any]:
        grant = await self._grant_of(arrival)
        return {"roles": roles_for(self._roles.describe(), grant)}

    async def _on_record(
        self, kind: str, role: str, answer: ServiceAnswer, who: str
    ) -> ServiceAnswer:
        """Record what was done with a role before it is answered, if the disk allows."""
        self._records.note(f"role.{kind}", actors.role(role), answer, actor=who)
        await self._records.outbox.flush()
        return answer


def _role_of(args: Mapping[str, Any]) -> str:
    role = args.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidInput("A role is needed, by its name.")
    return role
