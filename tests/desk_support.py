"""A page with a backend that remembers, and a browser of few words."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from khive_workers.desk.app import DeskApp
from khive_workers.desk.pages import Pages
from khive_workers.desk.sessions import PageSessions
from khive_workers.desk.views.wishes import Reply, Wish
from support import DEADLINE, Clock, Installation, run

PORT = 8766
HOST = f"127.0.0.1:{PORT}"
NOW = 1_800_000_000.0


@dataclass
class FakeBackend:
    """Answers wishes from a table; takes one ticket."""

    answers: dict[str, Any] = field(default_factory=dict)
    wished: list[Wish] = field(default_factory=list)
    tickets: set[str] = field(default_factory=lambda: {"good"})

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Reply]:
        """Return what the table has; nothing by default."""
        self.wished += wishes
        return [self.answers.get(wish.verb, {}) for wish in wishes]

    async def login(self, ticket: str) -> bool:
        """Take a ticket that is there."""
        there = ticket in self.tickets
        self.tickets.discard(ticket)
        return there

    async def token(self) -> object:
        """Nothing changes."""
        return 1


@dataclass(frozen=True)
class PageAnswer:
    """What a browser was answered."""

    status: int
    headers: dict[str, str]
    text: str


class FakeBrowser:
    """Keeps the cookie, and nothing else that a browser does."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self.cookie = ""

    def ask(self, method: str, path: str, form: Any = None, **headers: str) -> PageAnswer:
        """Send one request through the application."""
        where, _, query = path.partition("?")
        body = b"" if form is None else urlencode(form, errors="surrogateescape").encode()
        named = {"host": HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if form is not None:
            named.setdefault("content-type", "application/x-www-form-urlencoded")
        if self.cookie:
            named.setdefault("cookie", self.cookie)
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": where, "raw_path": where.encode(),
            "query_string": query.encode(), "root_path": "", "state": {}, "scheme": "http",
            "server": ("127.0.0.1", PORT),
            "headers": [(name.encode(), text.encode()) for name, text in named.items()],
        }  # fmt: skip
        run(self._app(scope, receive, send))
        found = {name.decode(): text.decode() for name, text in sent[0]["headers"]}
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].partition(";")[0]
        text = b"".join(one.get("body", b"") for one in sent[1:]).decode()
        return PageAnswer(sent[0]["status"], found, text)

    def login(self) -> PageAnswer:
        """Log in with the ticket that is there."""
        return self.ask("GET", "/login?ticket=good")


def desk(backend: FakeBackend) -> FakeBrowser:
    """Return a browser before a page that answers from a table."""
    return FakeBrowser(DeskApp(backend, PageSessions(Clock(0.0)), Pages(lambda: NOW)))


# --- a real page ----------------------------------------------------------------------------------


class ByHand:
    """Asks a real page; keeps its cookie, and the headers of the last answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.cookie = ""
        self.headers: dict[str, str] = {}

    def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, str]:
        """Send a request; return the status and the text of what is answered."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            named["Cookie"] = self.cookie
        connection = http.client.HTTPConnection(self.host, timeout=DEADLINE)
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            self.headers = {name.lower(): text for name, text in response.getheaders()}
            given = response.getheader("Set-Cookie", "")
            if given:
                self.cookie = given.partition(";")[0]
            return response.status, response.read().decode()
        finally:
            connection.close()


def opened(khive: Installation) -> tuple[ByHand, str]:
    """Return a browser, and the link's path."""
    link = khive.run("open", "--print").stdout.strip()
    return ByHand(link), link.partition(urlsplit(link).netloc)[2]
