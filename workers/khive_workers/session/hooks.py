"""The worker of hooks: a verbs worker that stays for the next ones, with everything open.

Each comes with a request of its own: who asks, for which project, with which grant. Of the one
before, only what belongs to nobody is left: the store's connection, the index, the embedder.
"""

from __future__ import annotations

import json
import os
import socket

from khive_supervisor import exitcodes, logs
from khive_supervisor.access import grant
from khive_supervisor.config.project.text import overlay
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import protocol
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import descriptors, paths
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.kept import Served
from khive_supervisor.verbs.registry import Registry
from khive_workers.common import runtime
from khive_workers.common.link import Link, make_context, session_info
from khive_workers.session.verbs import VerbConnection, of_command

log = logs.get("khive.verbs")

#: Bytes of one request.
MAX_REQUEST = 256 * 1024
#: What it says on the channel when it can take another one.
FREE = b"free\n"


class HookServer:
    """Serves hooks, one at a time, until the supervisor lets go of it or is gone."""

    def __init__(self, config: Config, registry: Registry, name: str, channel: int) -> None:
        """`config` is without any project's settings; `name` is what `status` calls it."""
        self._config = config
        self._registry = registry
        self._channel = socket.socket(fileno=channel)
        path = paths.env("KHIVE_SOCKET")
        assert path is not None
        self._path = path
        self._link = Link(config, {"kind": "verbs", "session": name}, "hooks", path)
        self._context: Context | None = None
        self._settings: object = None

    def run(self, request: SessionRequest, fd: int) -> int:
        """Serve a first hook, which knows already that it is served, and then others."""
        self._link.connect()
        try:
            self._serve(request, fd)
            self._prepare()
            while (given := self._next()) is not None:
                request, fd = given
                if runtime.begin(fd, protocol.encode({"begun": True})):
                    self._serve(request, fd)
                else:
                    os.close(fd)
        finally:
            self._close()
            self._channel.close()
            self._link.close()
        return exitcodes.OK

    def _next(self) -> tuple[SessionRequest, int] | None:
        """Return the next request with its connection; None: no more will come."""
        try:
            self._channel.send(FREE)
            data, fds = descriptors.receive(self._channel, MAX_REQUEST, 1)
        except OSError:
            return None
        return (json.loads(data), fds[0]) if data else None

    def _serve(self, request: SessionRequest, fd: int) -> None:
        context = self._context_of(request)
        VerbConnection(self._registry, context, fd).serve()
        self._link.count(context.counts())

    def _context_of(self, request: SessionRequest) -> Context:
        """Return the context of a request: what is open, and whose it is now."""
        settings = request.get("settings") or {}
        if self._context is None or settings != self._settings:
            self._close()
            config = overlay(self._config, settings)
            self._context, self._settings = make_context(config, request, self._path), settings
        context = self._context
        context.session = session_info(of_command(request))
        context.grant = grant.from_dict(request.get("grant"))
        context.client, context.served, context.consumer_kinds = ("", ""), Served(), ()
        context.hint = self._link.hint
        return context

    def _prepare(self) -> None:
        """Have loaded what the next hook may need: nobody waits now."""
        assert self._context is not None
        try:
            self._context.search.rehearse(self._context.now())
        except KhiveError as error:
            log.debug("hooks.unprepared", error=str(error))

    def _close(self) -> None:
        if self._context is not None:
            self._link.count(self._context.counts())
            self._context.close()
            self._context = None
