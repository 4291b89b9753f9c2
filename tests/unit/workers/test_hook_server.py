"""The kept worker of hooks: each hook has its own caller's rights, and sees what is stored now."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from khive_workers.common.link import Link
from khive_workers.session.hooks import FREE, HookServer

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import protocol
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.packs.loading import load
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = load()
Call = tuple[str, dict[str, Any]]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("KHIVE_SOCKET", str(tmp_path / "nobody.sock"))
    monkeypatch.setattr(Link, "connect", lambda _link: False)
    settings = {"store": {"path": str(tmp_path / "khive.db")}, "embedder": {"kind": "none"}}
    made = from_dict(settings)
    open_store(made).close()
    return made


class Hook:
    """A hook's connection, with all that it asks written already."""

    def __init__(self, request: SessionRequest, calls: tuple[Call, ...]) -> None:
        self.request = request
        self._read = b""
        self.ours, self.theirs = socket.socketpair()
        for number, (verb, args) in enumerate(calls):
            self.ours.sendall(protocol.encode({"id": number, "op": verb, "args": args}))
        self.ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()

    def answers(self) -> str:
        """Return all that it was answered, as it was written."""
        self._read += self.ours.recv(1 << 20)
        return self._read.decode(errors="replace")


Make = Callable[..., Hook]


@pytest.fixture
def hook() -> Iterator[Make]:
    made: list[Hook] = []

    def make(grant: Grant, *calls: Call, **more: Any) -> Hook:
        request = SessionRequest(
            kind="verbs", session="s", cwd="/", grant=grant.as_dict(), **more
        )  # fmt: skip
        made.append(Hook(request, calls))
        return made[-1]

    yield make
    for one in made:
        one.close()


class Meanwhile(HookServer):
    """Something happens between two hooks."""

    between: Callable[[], None]

    def _next(self) -> tuple[SessionRequest, int] | None:
        self.between()
        return super()._next()


def serve(
    config: Config, first: Hook, *others: Hook, between: Callable[[], None] = lambda: None
) -> bytes:
    """Have hooks served by one worker; returns what it has said on its channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        for one in others:
            socket.send_fds(ours, [json.dumps(one.request).encode()], [one.theirs.fileno()])
            one.theirs.close()
        ours.shutdown(socket.SHUT_WR)
        server = Meanwhile(config, REGISTRY, "hooks", theirs.detach())
        server.between = between
        server.run(first.request, first.theirs.detach())
        return ours.recv(4096)


RECALL: Call = ("memory.recall", {"query": "which port does it listen on"})
PORT: Call = ("memory.remember", {"content": "It listens on port 5433."})


def test_each_hook_has_the_rights_of_its_own_caller(config: Config, hook: Make) -> None:
    confined, operator = hook(confined_to("secret"), RECALL), hook(OPERATOR, RECALL)
    assert serve(config, hook(AGENT, PORT), confined, operator) == FREE
    assert "result" in confined.answers()
    assert "5433" not in confined.answers()
    assert "5433" in operator.answers()


def test_settings_of_one_project_are_not_the_next_ones(config: Config, hook: Make) -> None:
    long = ("memory.recall", {"query": "port " * 300})
    within = hook(AGENT, long, settings={"search": {"max_query_characters": 1000}})
    after = hook(AGENT, long)
    serve(config, hook(AGENT, PORT), within, after)
    assert "at most 1000 are searched" in within.answers()
    assert "at most 1000 are searched" not in after.answers()


def test_what_others_have_stored_meanwhile_is_found(config: Config, hook: Make) -> None:
    first, second = hook(AGENT, RECALL), hook(AGENT, RECALL)

    def store() -> None:
        with closing(context_of(config)) as context:
            REGISTRY.call(context, *PORT)

    serve(config, first, second, between=store)
    assert "5433" not in first.answers()
    assert "5433" in second.answers()


def context_of(config: Config) -> Context:
    return Context(config, SessionInfo(), socket_path=None, make_embedder=lambda: None)


def test_a_hook_that_has_left_is_passed_over(config: Config, hook: Make) -> None:
    gone, after = hook(AGENT), hook(AGENT, PORT)
    gone.ours.close()
    serve(config, hook(AGENT), gone, after)
    assert "result" in after.answers()
