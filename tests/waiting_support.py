"""Sessions of a node whose writes wait, and their being applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from khive_workers.waiting.applying import CallApplier, CallerContexts

from benchmarks.team.nodes import Node
from khive_supervisor.access.grant import AGENT, Grant
from khive_supervisor.config.settings.model import Config
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
AWAY = "/nowhere/supervisor.sock"


def configured(node: Node, away: str = "wait") -> Config:
    return replace(node.config, store=replace(node.config.store, away=away))


@contextmanager
def session(
    node: Node, name: str = "one", grant: Grant = AGENT, away: str = "wait", client: str = "claude"
) -> Iterator[Context]:
    """Give a session on a node, whose environment is this process's."""
    context = Context(
        configured(node, away),
        SessionInfo(id=name, actor=f"actor of {name}"),
        socket_path=AWAY,
        make_embedder=lambda: None,
        grant=grant,
    )
    context.client = (client, "1.0")
    try:
        yield context
    finally:
        context.close()


def call(context: Context, verb: str, **arguments: object) -> Mapping[str, Any]:
    return REGISTRY.call(context, verb, arguments)


@contextmanager
def applier(node: Node) -> Iterator[CallApplier]:
    contexts = CallerContexts(configured(node), AWAY)
    try:
        yield CallApplier(contexts, REGISTRY, lambda *_: None)
    finally:
        contexts.close()


def contents(node: Node, word: str) -> list[str]:
    """Return the living memories that begin with a word, in their order."""
    with node.plain() as store:
        found = store.entries.recent(limit=1000)
    return [one.content for one in found if one.live and one.content.startswith(word)][::-1]


def apply_all(node: Node) -> tuple[int, int]:
    """Apply what waits; return how many were applied and put aside."""
    with applier(node) as found:
        assert found.run()
        return found.applied, found.put_aside


def back(node: Node) -> None:
    """Have a node reach its server again."""
    if node._process is None:
        node.start()


def waiting_file(node: Node) -> Path:
    return Path(node.config.store.path).with_name("waiting.db")
