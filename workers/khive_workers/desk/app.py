"""The page as an ASGI application: who may see it, which view it is, and what is done by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from khive_supervisor import logs
from khive_workers.desk import guard
from khive_workers.desk.changes import CHANGES, PageChange, address_after
from khive_workers.desk.live import LiveBoard
from khive_workers.desk.pages import Pages
from khive_workers.desk.sessions import PageSession, PageSessions
from khive_workers.desk.table import BY_PATH, View, find
from khive_workers.desk.views import wishes
from khive_workers.desk.views.wishes import DeskBackend, Failed, Query, Wish

log = logs.get("khive.desk")

#: Fields of a query or a form, and bytes of a form, that are read.
MAX_FIELDS = 60
MAX_FORM = 1 << 20
#: Where forms go, with the change's name behind it.
DO = "/desk/do/"
#: The header of a page that asks again by itself.
PART = "khive-part"
_HTML = "text/html; charset=utf-8"


class DeskApp:
    """Answers requests to the page; used only from the worker's loop."""

    def __init__(self, backend: DeskBackend, sessions: PageSessions, pages: Pages) -> None:
        self._backend = backend
        self._sessions = sessions
        self._pages = pages
        self._board = LiveBoard(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its host has been looked at."""
        try:
            response = await self._answer(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - a bug must reach the browser as an answer
            log.error("desk.crashed", path=scope["path"][:200], error=repr(error))
            response = self._message(500, f"It failed unexpectedly: {type(error).__name__}.")
        for name, value in guard.HEADERS.items():
            response.headers.setdefault(name, value)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        if guard.foreign(method, request.headers):
            return self._message(403, "Another page may not ask for this.")
        if path in self._pages.static:
            return self._file(path)
        if path == "/login":
            return await self._login(request)
        session = self._session(request)
        if session is None:
            return self._message(401, "")
        if method == "POST":
            return await self._change(request, session)
        if method not in ("GET", "HEAD"):
            return self._message(405, "This is not for this address.")
        return await self._show(request, session)

    # --- who it is ------------------------------------------------------------------------------

    def _cookie(self, request: Request) -> str:
        return guard.cookie_name(str(request.url.port or 80))

    def _key(self, request: Request) -> str:
        return guard.cookie_in(request.headers.get("cookie", ""), self._cookie(request))

    def _session(self, request: Request) -> PageSession | None:
        session = self._sessions.find(self._key(request))
        connection: Any = request.scope.get("state", {}).get("connection")
        if session is not None and connection is not None:
            connection.trusted = True
        return session

    async def _login(self, request: Request) -> Response:
        """Begin a session for whoever has a ticket; any that the browser had before ends.

        What it answers leads on by itself: a redirect would be the other page's navigation still,
        to which browsers give no strict cookie.
        """
        ticket = request.query_params.get("ticket", "")
        if request.method != "GET" or not await self._backend.login(ticket):
            return self._message(401, "This link has been used, or is older than a minute.")
        self._sessions.end(self._key(request))
        response = self._html(200, "login.html", {})
        cookie = guard.set_cookie(self._cookie(request), self._sessions.begin())
        response.headers["Set-Cookie"] = cookie
        return response

    def _logout(self, request: Request) -> Response:
        self._sessions.end(self._key(request))
        response = self._message(200, "You are logged out.")
        response.headers["Set-Cookie"] = guard.drop_cookie(self._cookie(request))
        return response

    # --- what is shown --------------------------------------------------------------------------

    async def _show(self, request: Request, session: PageSession) -> Response:
        if request.url.path == "/desk/live":
            return self._live()
        if request.url.path == "/desk/head.txt":
            return await self._head()
        found = find(request.url.path, fields(request.url.query))
        if found is None:
            return self._message(404, "There is nothing here.")
        return await self._view(*found, session, by_itself=PART in request.headers)

    async def _view(
        self,
        view: View,
        query: Query,
        session: PageSession,
        draft: Query | None = None,
        problem: str = "",
        *,
        by_itself: bool = False,
    ) -> Response:
        """Show a view; after a change that failed with what was written, and why it failed.

        What is said of a change waits for the page that its form leads to: one that asks again
        `by_itself` meanwhile would take it, and show it to nobody.
        """
        replies = await self._backend.fulfil(view.wishes(query))
        page = view.page(replies, query, self._pages.now())
        notice = "" if by_itself else session.notice
        session.notice = session.notice if by_itself else ""
        more = {
            "title": view.title,
            "csrf": session.csrf,
            "notice": notice,
            "problems": [*filter(None, [problem]), *wishes.problems(replies)],
            "draft": draft or {},
        }
        return self._html(400 if problem else 200, view.template, {**page, **more})

    def _live(self) -> Response:
        if self._board.full:
            return self._message(503, "Too many pages are open.")
        return StreamingResponse(self._board.events(), media_type="text/event-stream")

    async def _head(self) -> Response:
        """Give the audit chain's head, to be kept elsewhere."""
        (reply,) = await self._backend.fulfil([Wish("system.audit", {"limit": 1})])
        text = reply.get("head", "") if isinstance(reply, dict) else ""
        kept = {"Content-Disposition": 'attachment; filename="khive-audit-head.txt"'}
        return Response(f"{text}\n", headers=kept, media_type="text/plain; charset=utf-8")

    def _html(self, status: int, template: str, page: Mapping[str, Any]) -> Response:
        return Response(self._pages.render(template, page), status, media_type=_HTML)

    def _message(self, status: int, text: str) -> Response:
        return self._html(status, "message.html", {"status": status, "text": text})

    def _file(self, path: str) -> Response:
        found = self._pages.static[path]
        kept = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(found.data, headers=kept, media_type=found.media_type)

    # --- what is changed ------------------------------------------------------------------------

    async def _change(self, request: Request, session: PageSession) -> Response:
        form = await _form(request)
        if form is None or not session.admits(form.get("csrf", "")):
            return self._message(403, "The form is not this page's, or older than your login.")
        if request.url.path == "/logout":
            return self._logout(request)
        change = CHANGES.get(request.url.path.removeprefix(DO))
        if change is None or not request.url.path.startswith(DO):
            return self._message(404, "There is nothing here.")
        return await self._do(change, form, session)

    async def _do(self, change: PageChange, form: Query, session: PageSession) -> Response:
        """Do it and go back; what was refused is shown where it was asked for."""
        (reply,) = await self._backend.fulfil([change.wish(form)])
        why = reply.why if isinstance(reply, Failed) else change.undone(reply)
        if not why and not isinstance(reply, Failed):
            session.notice = change.done
            back = address_after(form, reply.get(change.shows))
            return Response(status_code=303, headers={"Location": back})
        path, _, query = address_after(form).partition("?")
        found = find(path, fields(query)) or (BY_PATH["/"], {})
        return await self._view(*found, session, form, why)


def fields(query: str) -> Query:
    """Return the last value of each name that is not empty, of the first of a query or form."""
    few = "&".join(query.split("&", MAX_FIELDS)[:MAX_FIELDS])
    pairs = parse_qsl(few, errors="replace")
    return {name: value for name, value in pairs if value.strip()}


async def _form(request: Request) -> Query | None:
    """Return a form's fields; None if it is none, or too large."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            return None
    return fields(body.decode("utf-8", "replace"))
