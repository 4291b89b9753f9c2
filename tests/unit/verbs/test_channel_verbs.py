"""The verbs of channels: what is configured, what was sent, and sending again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT, OPERATOR
from khive_supervisor.channels.events import USUAL, Event
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.stored import new_delivery
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.store.channels.deliveries import DEAD, SENT
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
OPS = {"name": "ops", "kind": "webhook", "url": "https://h/hidden"}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, "channels": [OPS]})
    info = SessionInfo(id="s", actor="ada")
    found = Context(config, info, socket_path=None, make_embedder=lambda: None, grant=OPERATOR)
    yield found
    found.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def feed(context: Context, *keys: str) -> None:
    messages = [message_of(Event("task.done", f"task/{k}", 1.0, k), contents=False) for k in keys]
    context.store.deliveries.keep_only(["ops"])
    context.store.deliveries.feed("ops", 0, [new_delivery(one) for one in messages])


def test_a_channel_is_listed_with_what_became_of_its_messages(context: Context) -> None:
    feed(context, "k1", "k2")
    (first,) = (one for one in context.store.deliveries.page() if one.key == "k1")
    context.store.deliveries.end(first.id, DEAD, "404")
    context.store.deliveries.trouble("ops", "the receiver answered 404")
    (one,) = call(context, "channels.list")["channels"]
    assert (one["waiting"], one["dead"], one["events"]) == (1, 1, list(USUAL))
    assert one["problem"] == "the receiver answered 404"
    assert "hidden" not in str(one)
    (dead,) = call(context, "channels.log", channel="ops", state="dead")["messages"]
    assert (dead["title"], dead["error"], dead["next_at"]) == ("Task k1 is done", "404", None)
    assert (
        call(context, "channels.retry", channel="ops")["again"] == 2
    )  # the dead one, and the one that waits
    assert call(context, "channels.log", state="dead")["messages"] == []


def test_a_test_waits_for_what_becomes_of_it(context: Context) -> None:
    with pytest.raises(NotFound, match="not known to the store"):
        call(context, "channels.test", channel="ops")
    context.store.deliveries.keep_only(["ops"])

    def deliver(_seconds: float) -> None:
        (one,) = context.store.deliveries.page("ops")
        context.store.deliveries.end(one.id, SENT)

    context.pause = deliver
    assert call(context, "channels.test", channel="ops")["state"] == "sent"


def test_who_asks_for_none_is_told_which_there_are_and_agents_are_refused(context: Context) -> None:
    for verb in ("channels.test", "channels.log", "channels.retry"):
        with pytest.raises(NotFound, match="no channel 'x'"):
            call(context, verb, channel="x")
    context.grant = AGENT
    for verb in ("channels.list", "channels.log"):
        with pytest.raises(Denied):
            call(context, verb)
