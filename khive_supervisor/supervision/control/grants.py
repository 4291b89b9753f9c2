"""What whoever connects may do, decided when the supervisor passes it on to a worker.

What a client says of itself is not asked for: its directory, environment and ancestors are those
that the kernel tells of the process at the other end. What an attached client or a role's worker
has started gets no more than they have.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NotRequired, TypedDict

from khive_supervisor.access import decide, lineage
from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, from_dict, united
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.requests import GrantData, IdentityData
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.host import processes
from khive_supervisor.host.processes import ProcessEntry
from khive_supervisor.projects import identity as project
from khive_supervisor.supervision.control.server import Arrival
from khive_supervisor.supervision.control.sessions import Session
from khive_supervisor.supervision.control.socket_file import peer_pid
from khive_supervisor.supervision.maintenance.aside import Aside
from khive_supervisor.supervision.maintenance.outbox import InThread
from khive_supervisor.tasks.model import Task

#: The kind of a hello that is a client's session; the other ones are commands'. What the last asks
#: is about the supervisor itself.
ATTACH, CONTROL = "attach", "control"

#: Sessions that are remembered before those that have ended are looked for.
SWEPT = 64


class Above(Enum):
    """How a process is above whoever asks, so that what it has is all there is to get.

    Of one that perhaps is, only a confinement counts.
    """

    NO = 0
    PERHAPS = 1
    YES = 2


@dataclass(frozen=True, slots=True)
class Attached:
    """A client's session as processes see it: its attach, and the client that started that."""

    attach: ProcessEntry
    client: ProcessEntry | None
    grant: Grant

    def has(self, process: ProcessEntry) -> bool:
        """Return whether a process is its attach or its client."""
        return process in (self.attach, self.client)

    @property
    def gone(self) -> bool:
        """Return whether its attach has ended."""
        return lineage.living(self.attach.pid) != self.attach


class PassedOn(TypedDict):
    """The part of a worker's request that says who it serves, and what that one may do."""

    session: str
    grant: GrantData
    #: Missing where the kernel does not tell: the process at the other end, and the client that
    #: has started it, "pid:start".
    pid: NotRequired[int]
    process: NotRequired[str]


class AboveTask(TypedDict, total=False):
    """The part of a worker's request that is a task's; empty beneath none."""

    identity: IdentityData | None
    role: str


@dataclass(slots=True)
class Grants:
    """Decides for each arrival; used only from the supervisor's loop.

    Attributes:
        working: returns the task of each role worker's process, None while it has none.
        in_thread: looks at the store's tasks beside the loop.
        aside: looks at directories.
    """

    config: Callable[[], Config]
    sessions: Iterable[Session]
    working: Callable[[], Mapping[int, int | None]]
    in_thread: InThread
    aside: Aside
    _attached: dict[str, Attached] = field(default_factory=dict)
    _swept: int = SWEPT

    async def passed_on(self, arrival: Arrival) -> PassedOn:
        """Return the part of a worker's request that says who it serves, and what that may do."""
        pid, attaches = peer_pid(arrival.conn), arrival.kind == ATTACH
        named = lineage.session_name(pid) if attaches and pid else None
        session = named or secrets.token_hex(4)
        grant = await self.of(arrival, session)
        if attaches and pid and (own := lineage.living(pid)):
            self._attached[session] = Attached(own, lineage.client_of(pid), grant)
        passed: PassedOn = {"session": session, "grant": grant.as_dict()}
        if not pid:
            return passed
        client = lineage.client_of(pid, ATTACH.encode() if attaches else b"hook")
        process = f"{client.pid}:{client.started}" if client is not None else ""
        return {**passed, "pid": pid, "process": process}

    async def of_task_above(self, arrival: Arrival) -> AboveTask:
        """Return what a worker's request takes of the task whose worker has started the client.

        What it remembers is about the project of who gave the task, wherever that is done. By the
        kernel's word alone: an environment may be a repository's.
        """
        pid, working = peer_pid(arrival.conn), self.working()
        above = (working.get(one.pid) for one in lineage.ancestors(pid)) if pid and working else ()
        number = next((one for one in above if one is not None), None)
        if number is None:
            return {}
        try:
            task: Task | None = await self.in_thread(lambda store: store.tasks.find(number))
        except KhiveError:
            return {}
        if task is None:
            return {}
        identity = project.from_dict(task.project)
        return {"identity": identity.as_dict() if identity else None, "role": task.role}

    async def of(self, arrival: Arrival, session: str = "") -> Grant:
        """What whoever is at the other end may do; `session` is the name of a client's."""
        pid = peer_pid(arrival.conn)
        cwd = (lineage.directory(pid) if pid else None) or str(arrival.hello.get("cwd", "/"))
        hints = self._hints(pid, arrival)
        above = [grant async for grant in self._above(pid, hints, arrival.kind)]
        config = self.config()
        if arrival.kind != ATTACH:
            # Who cannot be seen by the kernel's means is taken for an agent's: of another
            # namespace of processes, a container's.
            above = above if pid != 0 else [*above, AGENT]
            return await self._look(lambda: decide.of_command(config, cwd, hints, above))
        grant = await self._look(lambda: decide.of_session(config, cwd, hints))
        for one in above:
            grant = grant.narrowed(one)
        return replace(grant, owners=_owners(session, arrival, above))

    async def of_control(self, arrival: Arrival) -> Grant:
        """What whoever is at a control connection may ask of the supervisor itself.

        A client that is not confined, and of which nothing says that it is an agent, does not
        lessen what a command beneath it may: a script of the user's own has sessions as well.
        """
        pid = peer_pid(arrival.conn)
        if pid and (own := self._of_worker(pid)) is not None:
            return own
        hints = self._hints(pid, arrival)
        above = [grant async for grant in self._above(pid, hints, CONTROL)]
        above += [AGENT] if pid == 0 else []
        if not above and not hints:
            return OPERATOR
        config, cwd = self.config(), (lineage.directory(pid) if pid else None) or "/"
        return await self._look(lambda: decide.of_command(config, cwd, hints, above))

    def _of_worker(self, pid: int) -> Grant | None:
        """What a worker of ours may ask, which has judged its client itself; None for all else."""
        if not processes.is_worker(pid):
            return None
        working = self.working()
        for process in lineage.ancestors(pid):
            if process.pid in working:
                return None
            if process.pid == os.getpid():
                return OPERATOR
        for session in self.sessions:  # of the supervisor before this one
            if session.pid == pid:
                grant = from_dict(session.info.get("grant"))
                return replace(grant, owners=(*grant.owners, session.id))
        return None

    async def _look(self, work: Callable[[], Grant]) -> Grant:
        """A decision that may look at directories; whoever confines none waits for none."""
        config = self.config()
        if not config.confine and not config.session.operator_paths:
            return work()
        try:
            return await self.aside.run(work)
        except TimeoutError:
            raise StoreUnavailable(
                "The disk of this directory does not answer, so it cannot be said whether the "
                "directory is confined.",
                hint="Start from another directory, or when the disk is back.",
            ) from None

    def _hints(self, pid: int | None, arrival: Arrival) -> dict[str, str]:
        """What its environment says; a hello can only add to it."""
        said = arrival.hello.get("env") or {}
        told = {name: str(said[name]) for name in decide.HINTS if said.get(name)}
        return {**told, **(lineage.environment(pid, *decide.HINTS) if pid else {})}

    # --- ancestors ------------------------------------------------------------------------------

    async def _above(
        self, pid: int | None, hints: dict[str, str], kind: str
    ) -> AsyncIterator[Grant]:
        """What those have from whom a process descends, nearest first."""
        working = self.working()
        for process, above in self._chain(pid, kind) if pid else ():
            grant = self._of_client(process) if above is not Above.NO else None
            if grant is not None and (grant.confined or (above is Above.YES and kind != CONTROL)):
                yield grant
            if process.pid in working:
                yield await self._of_task(working[process.pid])
        named = hints.get("KHIVE_TASK_ID", "")
        if named.isascii() and named.isdigit() and len(named) < 19:
            yield await self._of_task(int(named))

    @staticmethod
    def _chain(pid: int, kind: str) -> Iterator[tuple[ProcessEntry, Above]]:
        """A process and its ancestors; whether each is above the client whose session it is.

        A client may have several sessions, in several places: none of them is above the others.
        One that a shell has started may be the client's, or its agent's.
        """
        chain = list(lineage.ancestors(pid))
        own = lineage.client_of(pid) if kind == ATTACH else None
        number = chain.index(own) if own in chain else 0
        shell = any(process.name in lineage.SHELLS for process in chain[1:number])
        for place, process in enumerate(chain):
            if place == number and shell:
                yield process, Above.PERHAPS
            else:
                yield process, Above.YES if place > number else Above.NO

    def _of_client(self, process: ProcessEntry) -> Grant | None:
        """What the sessions of a client have together, or the one of an attach."""
        self._remember()
        found = [one for one in self._attached.values() if one.has(process) and not one.gone]
        return united(one.grant for one in found)

    def _remember(self) -> None:
        """Take in the sessions that came before this supervisor, and let go of those that ended."""
        for session in self.sessions:
            if session.kind == "session" and session.id not in self._attached:
                found = _attached(session)
                if found is not None:
                    self._attached[session.id] = found
        if len(self._attached) > self._swept:
            self._attached = {name: one for name, one in self._attached.items() if not one.gone}
            self._swept = 2 * len(self._attached) + SWEPT

    async def _of_task(self, number: int | None) -> Grant:
        """What whoever works on a task has; all that a role's worker starts is an agent's."""
        if number is None:
            return AGENT
        try:
            found: Task | None = await self.in_thread(lambda store: store.tasks.find(number))
        except KhiveError:
            return Grant(namespaces=())  # nothing is known of it: nothing is granted
        if found is None:
            return AGENT
        task, config = found, self.config()
        grant = await self._look(lambda: decide.of_task(config, task.namespace, task.cwd))
        return replace(grant, owners=(f"task-{number}",))


def _owners(session: str, arrival: Arrival, above: Iterable[Grant]) -> tuple[str, ...]:
    """Whose tasks are a session's own: its task's, its conversation's, and its own."""
    conversation = (arrival.hello.get("env") or {}).get("CLAUDE_CODE_SESSION_ID")
    beneath = [owner for grant in above for owner in grant.owners if owner.startswith("task-")]
    return tuple(
        dict.fromkeys([*beneath, *([f"client-{conversation}"] if conversation else []), session])
    )


def _attached(session: Session) -> Attached | None:
    """A session that has registered itself again, from what it says; None if it is gone."""
    pid, grant = session.info.get("client_pid"), session.info.get("grant")
    own = lineage.living(pid) if isinstance(pid, int) else None
    if own is None or not isinstance(grant, dict):
        return None
    return Attached(own, lineage.client_of(own.pid), from_dict(grant))
