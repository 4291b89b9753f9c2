"""Who arrives at the control socket, and what becomes of them.

A client's session and a command's verbs are given to a worker. A worker that has begun, here or
under the supervisor before this one, is entered in the table by itself, for as long as its link
stands.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khive_supervisor import logs
from khive_supervisor.config.project.terms import Serving
from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.errors import InvalidInput
from khive_supervisor.projects import identity
from khive_supervisor.supervision.control.belonging import Belonging
from khive_supervisor.supervision.control.grants import Grants
from khive_supervisor.supervision.control.server import Arrival, acknowledge, redirect, streams
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.control.terms import SessionTerms
from khive_supervisor.supervision.maintenance.confirmation import Confirmation
from khive_supervisor.supervision.processes.child import describe_exit
from khive_supervisor.supervision.processes.hook_worker import HookWorker
from khive_supervisor.supervision.processes.spawner import Spawner, WorkerRequest
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.upgrade.handover import Upgrader
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.supervisor")

#: Descriptors that attach passes; the channel makes one more.
ATTACH_FDS = MAX_FDS - 1

#: Has a worker serve a request with these descriptors.
Spawns = Callable[[WorkerRequest, Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Takes clients to workers; used only from the supervisor's loop."""

    serving: Callable[[], Serving]
    belonging: Belonging
    terms: SessionTerms
    grants: Grants
    upgrader: Upgrader
    spawner: Spawner
    hooks: HookWorker
    confirmation: Confirmation

    async def attach(self, arrival: Arrival) -> None:
        """Give the session of an attach to a worker, with the client's descriptors."""
        if len(arrival.fds) != ATTACH_FDS:
            raise InvalidInput(
                f"A session needs {ATTACH_FDS} descriptors; {len(arrival.fds)} came."
            )
        await self._take(arrival, [*arrival.fds, arrival.conn.fileno()], self.spawner.spawn)

    async def verbs(self, arrival: Arrival) -> None:
        """Give the connection of a command that calls verbs to a worker; a hook's to theirs."""
        spawn = self.hooks.spawn if arrival.hello.get("hook") else self.spawner.spawn
        await self._take(arrival, [arrival.conn.fileno()], spawn)

    async def _take(self, arrival: Arrival, fds: list[int], spawn: Spawns) -> None:
        elsewhere = await self.belonging.admit(arrival.hello)
        if elsewhere is not None:
            await redirect(arrival, elsewhere)
            return
        request = await self._request(arrival)
        if acknowledge(arrival):
            spawn(request, fds)
            self.confirmation.arrived(identity.from_dict(request["identity"]))

    async def _request(self, arrival: Arrival) -> JsonObject:
        """Return what a worker for a client is to be told."""
        serving = self.serving()
        terms = await self.terms.of(serving, arrival.hello)
        allowed = set(serving.config.session.env_allow)
        env = arrival.hello.get("env") or {}
        return {
            **arrival.hello,
            "arrived": time.monotonic(),
            "notice": self.upgrader.notice_for(arrival.hello),
            "env": {name: value for name, value in env.items() if name in allowed},
            **terms.for_worker(),
            **await self.grants.passed_on(arrival),
            **await self.grants.of_task_above(arrival),
        }


@dataclass(frozen=True, slots=True)
class WorkerArrivals:
    """Enters workers in the table; used only from the supervisor's loop.

    Attributes:
        sessions: the table.
        roles: the workers of roles, which have their own; known when the first news come.
        confirmation: what looks at projects; known then, too.
        take_log: takes over the end of a worker's log.
    """

    sessions: SessionTable
    roles: Callable[[], Roles]
    confirmation: Callable[[], Confirmation]
    take_log: Callable[[socket.socket], None]

    async def worker(self, arrival: Arrival) -> None:
        """Follow a worker that registers, until its link ends."""
        if arrival.fds:
            self.take_log(socket.socket(fileno=arrival.fds.pop()))
        reader, writer = await streams(arrival)
        try:
            await self.sessions.follow(arrival.hello, reader, writer, self._hinted)
        finally:
            writer.close()

    def _hinted(self, message: JsonObject) -> None:
        """A session has changed something; what it says is not trusted to be well formed."""
        if message.get("hint") == "projects":
            self.confirmation().stored()
        if message.get("hint") == "tasks":
            role, cancelled = message.get("role"), message.get("cancel")
            if isinstance(cancelled, int):
                self.roles().cancel(cancelled)
            self.roles().wake(role if isinstance(role, str) else None)

    def worker_began(self, pid: int, request: WorkerRequest) -> None:
        """Take in which process a worker is, before it can say so itself."""
        worker, session = request.get("worker"), request.get("session")
        if worker:
            self.roles().worker_began(str(worker), pid)
        elif session:
            self.sessions.began(str(session), pid, request.get("pid"))

    def worker_exited(self, pid: int, code: int, worker: str) -> None:
        """Take in that a worker's process has ended."""
        if worker:
            self.roles().worker_exited(worker, code)
            return
        self.sessions.exited(pid)
        level = log.warning if code else log.info
        level("session.exited", worker=pid, exit=describe_exit(code))
