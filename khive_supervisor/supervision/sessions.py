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

from khive_supervisor import logs, protocol
from khive_supervisor.errors import ProtocolError

log = logs.get("khive.sessions")

#: Bytes that may wait for a worker that does not read; hints are dropped beyond that.
MAX_UNSENT = 64 * 1024
#: Different things that a worker may count.
MAX_COUNTS = 64


@dataclass(slots=True)
class Session:
    """One registered worker."""

    id: str
    pid: int
    kind: str
    info: dict[str, Any]
    since: float
    writer: asyncio.StreamWriter
    #: What it has counted since it began, as it said last.
    counts: dict[str, int] = field(default_factory=dict)

    def describe(self, now: float) -> dict[str, Any]:
        """What `status` shows."""
        return {
            "id": self.id,
            "pid": self.pid,
            "kind": self.kind,
            "seconds": round(now - self.since, 1),
            **self.info,
        }


@dataclass(slots=True)
class Sessions:
    """All registered workers; used only from the supervisor's loop."""

    clock: Callable[[], float] = time.monotonic
    #: Called with what workers want the supervisor to act on: `{"hint": "tasks", "role": ...}`.
    on_hint: Callable[[dict[str, Any]], None] = lambda _message: None
    served: int = 0
    _ended: Counter[str] = field(default_factory=Counter)
    _by_id: dict[str, Session] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    async def follow(
        self, hello: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Keep a worker in the table until its link ends."""
        session = Session(
            id=str(hello["session"]),
            pid=int(hello["pid"]),
            kind=str(hello.get("worker", "session")),
            info=dict(hello.get("info") or {}),
            since=self.clock(),
            writer=writer,
        )
        self._by_id[session.id] = session
        self.served += 1
        log.info("session.registered", session=session.id, worker=session.pid, kind=session.kind)
        try:
            await self._read_updates(session, reader)
        finally:
            self._ended.update(session.counts)
            session.counts = {}
            if self._by_id.get(session.id) is session:
                del self._by_id[session.id]
            log.info("session.ended", session=session.id, worker=session.pid)

    async def _read_updates(self, session: Session, reader: asyncio.StreamReader) -> None:
        decoder = protocol.FrameDecoder()
        while data := await reader.read(65536):
            for message in decoder.feed(data):
                if isinstance(message.get("hint"), str):
                    self.on_hint(message)
                    continue
                if "counts" in message:
                    session.counts = _counts_of(message["counts"])
                    continue
                update = message.get("info")
                if not isinstance(update, dict):
                    raise ProtocolError("A worker sent something that is not an update.")
                session.info.update(update)

    def counts(self) -> dict[str, int]:
        """What all workers have counted, those that have ended among them."""
        total = Counter(self._ended)
        for session in self:
            total.update(session.counts)
        return dict(total)

    def tell_all(self, message: dict[str, Any], *, kinds: Collection[str] = ()) -> int:
        """Send a hint to every worker (of these kinds); returns how many were told."""
        frame = protocol.encode(message)
        told = 0
        for session in self:
            if kinds and session.kind not in kinds:
                continue
            transport = session.writer.transport
            if transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT:
                continue
            session.writer.write(frame)
            told += 1
        return told


def _counts_of(found: Any) -> dict[str, int]:
    """Numbers by name; what else a worker says is not trusted to be well formed."""
    counts = found.items() if isinstance(found, dict) and len(found) <= MAX_COUNTS else ()
    if not counts or not all(type(number) is int and number >= 0 for _, number in counts):
        raise ProtocolError("A worker sent counts that are none.")
    return dict(counts)
