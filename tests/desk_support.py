"""A page with a backend that remembers, and a browser of few words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from khive_workers.desk.app import DeskApp
from khive_workers.desk.pages import Pages
from khive_workers.desk.sessions import PageSessions
from khive_workers.desk.views.wishes import Reply, Wish
from support import Clock, run

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
