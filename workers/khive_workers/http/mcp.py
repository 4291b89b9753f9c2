"""MCP over HTTP: the same server as a session's, for many clients of one process.

Who asks is put into a lane's context before each call: the session by its id, namespace and actor
by headers of the request. Clients without a session (since 2026-07-28) are their actor's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from khive_supervisor.access.grant import Grant
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.registry import Answer
from khive_workers.http.gate import NAMESPACE as TOKENS_NAMESPACE
from khive_workers.http.service import Service, confined_client
from khive_workers.mcp.server import McpServer, client_of, progress_of

#: Headers by which a client names what a local one has in its environment.
NAMESPACE, ACTOR, PROJECT = "khive-namespace", "khive-actor", "khive-project"
SESSION = "mcp-session-id"
#: The owner of the tasks of clients that have no session.
CLIENTS = "http"


def who_asks(ctx: Any) -> SessionInfo:
    """Return the client of a request, by its headers."""
    headers = ctx.request.headers if ctx.request is not None else {}
    session = headers.get(SESSION) or ""
    return SessionInfo(
        id=session[:32],
        namespace=headers.get(NAMESPACE) or None,
        actor=headers.get(ACTOR) or "",
        project_name=wellformed.text(headers.get(PROJECT) or ""),
    )


def grant_of(ctx: Any) -> Grant:
    """What the client of a request may do, by its token. Those without a session share tasks."""
    if ctx.request is None:
        return Grant()
    namespace = ctx.request.scope.get("state", {}).get(TOKENS_NAMESPACE)
    if namespace is not None:
        return confined_client(namespace)
    return Grant(owners=() if ctx.request.headers.get(SESSION) else (CLIENTS,))


class HttpMcpServer(McpServer):
    """The server of the HTTP worker."""

    def __init__(self, service: Service, called: Callable[[], None]) -> None:
        super().__init__(service.registry)
        self._service = service
        self._called = called

    def _note_client(self, ctx: Any) -> None:
        """Many clients share this process: `status` shows none of them by name."""

    def _grant_of(self, ctx: Any) -> Grant:
        """Return an agent's: whoever speaks MCP is one, whatever token it has."""
        return grant_of(ctx)

    async def _run(self, name: str, arguments: JsonObject, ctx: Any) -> Answer:
        """Run a verb in a lane, as who asks."""
        verb = self.registry.get(name)
        who, grant = who_asks(ctx), self._grant_of(ctx)
        self.runtime.calls += 1
        self._called()
        if verb.waits:
            make = lambda: self._service.context(who, grant)  # noqa: E731 - bound late
            return await self._run_waiting(make, name, arguments, ctx, by=who.id or who.actor)
        cancelled = threading.Event()
        report = progress_of(ctx, asyncio.get_running_loop(), cancelled)
        served, client = self._service.served(who.id), client_of(ctx)

        def work(context: Context) -> Answer:
            if cancelled.is_set():
                raise CancelledError
            context.session, context.grant = who, grant
            context.served, context.progress, context.client = served, report, client
            return self.registry.call(context, name, arguments)

        try:
            return await self._service.lane().run(work)
        except asyncio.CancelledError:
            cancelled.set()
            raise
