"""What both kinds of worker have: their session, its context, the link to the supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from typing import Any

from khive_supervisor.access import grant
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured, protocol
from khive_supervisor.control.client import peer
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.embed.factory import for_worker, in_process
from khive_supervisor.projects import identity
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_workers.common import heap, runtime

#: Seconds from a call to the report of what was counted.
COUNT_AFTER = 2.0

#: Seconds after the first call: it leaves the most, since it opens and loads everything.
FIRST_AFTER = 0.2


def session_info(request: SessionRequest) -> SessionInfo:
    """Return who is being served, by the request that the worker was started with."""
    environment = {str(k): str(v) for k, v in (request.get("env") or {}).items()}
    return SessionInfo(
        id=str(request.get("session", "")),
        cwd=str(request.get("cwd", "/")),
        namespace=environment.get("KHIVE_NAMESPACE"),
        actor=environment.get("KHIVE_ACTOR") or environment.get("CLAUDE_CODE_SESSION_ID", ""),
        environment=environment,
        project=identity.from_dict(request.get("identity")),
        kind=request.get("kind", "attach"),
        role=str(request.get("role", "")),
        process=str(request.get("process") or ""),
    )


def make_context(config: Config, request: SessionRequest, socket_path: str | None) -> Context:
    """Return the session's context, with what the request grants it; nothing is opened yet."""
    make: Callable[[], Any]
    if socket_path is None:
        make = lambda: in_process(config.embedder)  # noqa: E731 - one expression, bound late
    else:
        make = lambda: for_worker(config.embedder, socket_path)  # noqa: E731 - as above
    return Context(
        config,
        session_info(request),
        socket_path=socket_path,
        make_embedder=make,
        grant=grant.from_dict(request.get("grant")),
    )


def _namespace(config: Config, request: SessionRequest) -> str:
    """Return the namespace of a session's calls that name none."""
    granted = grant.from_dict(request.get("grant"))
    if granted.namespaces is not None:
        return next(iter(granted.namespaces), "")
    return session_info(request).namespace or granted.home or config.session.namespace


class Link:
    """The registration with the supervisor: a hint for it, never needed to serve."""

    def __init__(self, config: Config, request: SessionRequest, kind: str, path: str) -> None:
        self.path = path
        self._info: dict[str, object] = {
            "client_pid": request.get("pid"),
            "grant": request.get("grant"),
            "cwd": request.get("cwd"),
            "namespace": _namespace(config, request),
            "project": (request.get("project") or {}).get("name"),
        }
        self._config = config
        self._kind = kind
        self._session = str(request.get("session") or os.getpid())
        self._counted: dict[str, int] = {}
        self.sock: socket.socket | None = None
        self._supervisor: int | None = None

    def connect(self) -> bool:
        """Register with a supervisor; return True if there is one."""
        hello, log_end = runtime.registration(self._config, self._kind, self._session, self._info)
        with log_end:
            self.sock = runtime.register(self.path, hello, log_end)
        self._counted = {}  # a supervisor that is new has heard of none
        self._supervisor = peer(self.sock)[0] if self.sock is not None else None
        return self.sock is not None

    def supervisor(self) -> int | None:
        """Return the process of the supervisor that this session is registered with, if known."""
        return self._supervisor

    def close(self) -> None:
        """Let the supervisor know that this session has ended; idempotent."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def hint(self, message: Mapping[str, object]) -> None:
        """Tell the supervisor what it can act on, from any thread; it may get lost.

        One `send` of a few bytes is one piece: it does not mix with another thread's.
        """
        sock = self.sock
        if sock is not None:
            try:
                sock.send(protocol.encode(message))
            except OSError:
                return  # it looks by itself every second

    def count(self, counts: dict[str, int]) -> None:
        """Tell the supervisor what this worker has counted and measured so far, if it is news."""
        counts = {**counts, **measured.counts()}
        if counts and counts != self._counted and self.sock is not None:
            self.hint({"counts": counts})
            self._counted = counts

    def update(self, info: Mapping[str, object]) -> None:
        """Tell the supervisor something new about this session."""
        self._info.update(info)
        if self.sock is not None:
            try:
                self.sock.send(protocol.encode({"info": info}))
            except OSError:
                return  # it learns it at the next registration


class Counting:
    """Reports what a worker counts: a while after a call, never in one, and not while idle.

    And gives back the memory that calls have left free: who calls again at once would need it.
    """

    def __init__(self, link: Link, counts: Callable[[], dict[str, int]]) -> None:
        self._link = link
        self._counts = counts
        self._due = False
        self._first = True

    def called(self) -> None:
        """A call has come: report soon, if that is not planned yet."""
        loop = asyncio.get_running_loop()
        if self._first:
            self._first = False
            loop.call_later(FIRST_AFTER, heap.give_back)
        if not self._due:
            self._due = True
            loop.call_later(COUNT_AFTER, self._report)

    def _report(self) -> None:
        self._due = False
        self._link.count(self._counts())
        heap.give_back()
