"""The table of workers that are registered, and the link to each of them.

A worker connects by itself, after its fork and again whenever a supervisor comes back; the link's
end means that the worker is gone. Nothing here is needed for a session to be served.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured, protocol
from khive_supervisor.errors import ProtocolError
from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.process import ASK_WORKER, SupervisedProcess
from khive_supervisor.supervision.processes.states import ProcessEvent, ShownState
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.sessions")

#: Bytes that may wait for a worker that does not read; hints are dropped beyond that.
MAX_UNSENT = 64 * 1024
#: A worker that has not registered cannot be asked; whether it is stopped can be seen. It may be
#: without a link for long, after a supervisor that was away.
UNREGISTERED = HangLimits(silent=float("inf"), busy=float("inf"))
#: What attach is called while it waits for a session's end.
ATTACHED_NAME = "khive-attach"
#: Seconds that sessions may take to end when all are told to, before they are ended.
END_WITHIN, END_LOOKS = 1.0, 20
#: Different things that a worker may count.
MAX_COUNTS = measured.MOST_NAMES + 64


#: Kinds of workers that serve clients for as long as these want.
SERVING = ("session", "http")
#: Kinds of workers that are asked here; the HTTP worker is asked as the child that it is.
ASKED = ("session", "verbs", "hooks")


class SessionStatus(ShownState):
    """What `status` shows of a registered worker, beside what it says of itself."""

    id: str
    pid: int | None
    kind: str
    seconds: float
    calls: int


@dataclass(slots=True, eq=False)
class Session(SupervisedProcess):
    """One registered worker.

    Attributes:
        info: what it says of itself, for `status`.
        release: of which release it is.
        moves: whether it can move to another worker by itself.
        counts: what it has counted since it began, as it said last.
    """

    id: str
    kind: str
    info: JsonObject
    since: float
    writer: asyncio.StreamWriter
    release: str = ""
    moves: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    every: float = field(default=ASK_WORKER, kw_only=True)

    def tell(self, message: JsonObject) -> None:
        """Send it a hint; lost if it is gone."""
        if not self.writer.transport.is_closing():
            self.writer.write(protocol.encode(message))

    @property
    def reads(self) -> bool:
        """Return false while it is gone, or too much waits for it."""
        transport = self.writer.transport
        return not transport.is_closing() and transport.get_write_buffer_size() <= MAX_UNSENT

    def ask(self) -> None:
        """Ask whether it lives."""
        if self.reads:
            self.tell({"hint": "ping"})

    def describe(self, now: float) -> SessionStatus:
        """Return what `status` shows."""
        own: SessionStatus = {
            "id": self.id,
            "pid": self.pid,
            "kind": self.kind,
            **self.shown("serving"),
            "seconds": round(now - self.since, 1),
            "calls": measured.calls(self.counts),
        }
        return {**own, **self.info}  # type: ignore[typeddict-item]  # it says more than we know


@dataclass(slots=True, eq=False)
class Begun(SupervisedProcess):
    """A worker that was given a client, whose process may be known, and has not registered yet."""

    client: object = None
    asks: bool = field(default=False, kw_only=True)


OnHint = Callable[[JsonObject], None]


@dataclass(slots=True)
class SessionTable:
    """All registered workers; used only from the supervisor's loop."""

    clock: Callable[[], float] = time.monotonic
    #: Whether roles are configured: agents are offered tasks only then.
    roles: bool = False
    #: Called with each worker that registers.
    on_registered: Callable[[Session], None] = lambda _session: None
    served: int = 0
    #: How many were ended because they did not answer.
    hung: int = 0
    limits: HangLimits = field(default_factory=HangLimits)
    _ending: bool = False
    _begun: dict[str, Begun] = field(default_factory=dict)
    _ended: Counter[str] = field(default_factory=Counter)
    _by_id: dict[str, Session] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def configure(self, config: Config) -> None:
        """Tell sessions when there are roles, or none any more, from now on."""
        if bool(config.roles) != self.roles:
            self.roles = not self.roles
            self.tell_all(self._roles_hint(), kinds=SERVING)

    def _roles_hint(self) -> JsonObject:
        return {"hint": "roles", "configured": self.roles}

    async def follow(
        self,
        hello: JsonObject,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_hint: OnHint,
    ) -> None:
        """Keep a worker in the table until its link ends.

        Args:
            hello: what it has said first.
            reader: what it says from now on.
            writer: where it is told something.
            on_hint: given what the supervisor is to act on: `{"hint": "tasks", "role": ...}`.
        """
        session = self._registered(hello, writer)
        try:
            await self._read_updates(session, reader, on_hint)
        finally:
            session.step(ProcessEvent.ENDED)
            self._ended.update(session.counts)
            session.counts = {}
            if self._by_id.get(session.id) is session:
                del self._by_id[session.id]
            log.info("session.ended", session=session.id, worker=session.pid)

    def _registered(self, hello: JsonObject, writer: asyncio.StreamWriter) -> Session:
        session = Session(
            id=str(hello["session"]),
            kind=str(hello.get("worker", "session")),
            info=dict(hello.get("info") or {}),
            since=self.clock(),
            writer=writer,
            release=str(hello.get("release", "")),
            moves=hello.get("moves") is True,
            asks=bool(hello.get("answers")),
            clock=self.clock,
        )
        pid = int(hello["pid"])
        session.begin(pid)
        session.step(ProcessEvent.READY)
        self._begun.pop(session.id, None)
        self.exited(pid)
        self._by_id[session.id] = session
        self.served += 1
        log.info("session.registered", session=session.id, worker=session.pid, kind=session.kind)
        if session.kind in SERVING:
            session.tell(self._roles_hint())  # it may have begun before a reload
        self.on_registered(session)
        return session

    async def _read_updates(
        self, session: Session, reader: asyncio.StreamReader, on_hint: OnHint
    ) -> None:
        decoder = protocol.FrameDecoder()
        while data := await reader.read(65536):
            for message in decoder.feed(data):
                if message.get("hint") == "alive":
                    session.heard()
                    continue
                if isinstance(message.get("hint"), str):
                    on_hint(message)
                    continue
                if "counts" in message:
                    session.counts = _counts_of(message["counts"])
                    continue
                update = message.get("info")
                if not isinstance(update, dict):
                    raise ProtocolError("A worker sent something that is not an update.")
                session.info.update(update)

    # --- who answers ----------------------------------------------------------------------------

    def began(self, name: str, pid: int, client: object = None) -> None:
        """Take in that a worker has been given a client's session; it registers soon."""
        if name not in self._by_id:
            begun = self._begun[name] = Begun(client, clock=self.clock)
            begun.begin(pid)

    def left_over(self, pid: int) -> None:
        """A worker of a supervisor that has ended: it registers or ends, unless it is stopped."""
        name = f"left over {pid}"
        if name not in self._begun:
            self.began(name, pid)

    def exited(self, pid: int) -> None:
        """A worker's process has ended, perhaps before it registered."""
        for name, begun in list(self._begun.items()):
            if begun.pid == pid:
                del self._begun[name]

    def look(self) -> None:
        """End workers that do not answer: attach gives their clients to others.

        Not while all are ended: their clients end with them then.
        """
        if self._ending:
            return
        for session in self:
            if session.kind in ASKED:  # those of another kind have their answers elsewhere
                self._look_at(session.id, session, self.limits)
        for name, begun in list(self._begun.items()):
            if begun.pid is None or not processes.is_worker(begun.pid):
                del self._begun[name]
            else:
                self._look_at(name, begun, UNREGISTERED)

    def _look_at(self, name: str, process: SupervisedProcess, limits: HangLimits) -> None:
        if process.hangs(limits):
            self.hung += 1
            seconds = process.unheard
            log.error("session.hung", session=name, worker=process.pid, seconds=seconds)

    async def end_all(self) -> None:
        """Tell all to end, and end those that do not.

        With their clients' attach, which would give the client to another worker. Whoever is a
        child as well, as the HTTP worker is, ends as that.
        """
        self._ending = True
        self.tell_all({"hint": "end"})
        for _ in range(END_LOOKS):
            if not any(session.kind in ASKED for session in self):
                break
            await asyncio.sleep(END_WITHIN / END_LOOKS)
        for session in self:
            if session.kind in ASKED:
                _end_with_client(session, session.info.get("client_pid"))
        for begun in self._begun.values():
            _end_with_client(begun, begun.client)

    # --- telling --------------------------------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """What all workers have counted, those that have ended among them."""
        total = Counter(self._ended)
        for session in self:
            total.update(session.counts)
        return dict(total)

    def tell_all(self, message: JsonObject, *, kinds: Collection[str] = ()) -> int:
        """Send a hint to every worker (of these kinds); returns how many were told."""
        frame = protocol.encode(message)
        told = 0
        for session in self:
            if kinds and session.kind not in kinds:
                continue
            if session.reads:
                session.writer.write(frame)
                told += 1
        return told


def _end_with_client(worker: SupervisedProcess, client: object) -> None:
    if isinstance(client, int) and processes.named(client, ATTACHED_NAME):
        processes.end(client)
    worker.kill()


def _counts_of(found: Any) -> dict[str, int]:
    """Numbers by name; what else a worker says is not trusted to be well formed."""
    counts = found.items() if isinstance(found, dict) and len(found) <= MAX_COUNTS else ()
    if not counts or not all(type(number) is int and number >= 0 for _, number in counts):
        raise ProtocolError("A worker sent counts that are none.")
    return dict(counts)
