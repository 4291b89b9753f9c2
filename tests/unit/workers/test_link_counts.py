"""A worker's counts on their way to the supervisor: only news, and all of it to a new one."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from khive_workers.common import heap
from khive_workers.common import link as link_module
from khive_workers.common.link import Counting, Link
from support import DEADLINE

from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured
from khive_supervisor.control.protocol import FrameDecoder


@pytest.fixture(autouse=True)
def _nothing_measured_before() -> None:
    measured.clear()


def linked() -> tuple[Link, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    link = Link(Config(), {"session": "s"}, "session", "/nowhere")
    link.sock = ours
    return link, theirs


def said(sock: socket.socket) -> list[dict[str, Any]]:
    try:
        return [message["counts"] for message in FrameDecoder().feed(sock.recv(65536))]
    except BlockingIOError:
        return []


def test_counts_are_told_once_and_again_when_they_have_risen() -> None:
    link, theirs = linked()
    with theirs:
        link.count({"searches": 1})
        link.count({"searches": 1})
        assert said(theirs) == [{"searches": 1}]
        link.count({"searches": 2})
        assert said(theirs) == [{"searches": 2}]
        link.count({})
        assert said(theirs) == []
        link.close()


def test_without_a_supervisor_they_are_kept_for_the_next_one() -> None:
    link, theirs = linked()
    ours, link.sock = link.sock, None
    assert ours is not None
    link.count({"searches": 1})
    link.sock = ours
    with theirs:
        link.count({"searches": 1})
        assert said(theirs) == [{"searches": 1}]
        link.close()


def test_memory_is_given_back_after_the_first_call_and_when_calls_have_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_back = asyncio.Event()
    monkeypatch.setattr(heap, "give_back", given_back.set)
    monkeypatch.setattr(link_module, "FIRST_AFTER", 0.0)
    monkeypatch.setattr(link_module, "COUNT_AFTER", 60.0)

    async def call_twice() -> None:
        link, theirs = linked()
        counting = Counting(link, lambda: {"searches": 1})
        with theirs:
            counting.called()
            await asyncio.wait_for(given_back.wait(), DEADLINE)
            given_back.clear()
            monkeypatch.setattr(link_module, "COUNT_AFTER", 0.0)
            again = Counting(link, lambda: {"searches": 2})
            monkeypatch.setattr(link_module, "FIRST_AFTER", 60.0)
            again.called()
            await asyncio.wait_for(given_back.wait(), DEADLINE)
            assert said(theirs) == [{"searches": 2}]
            link.close()

    asyncio.run(call_twice())
