"""A session that serves itself comes over to a supervisor when there is one, between two calls.

It becomes the `attach` that it was before, with the same pipes, journal and inbox: to the client
nothing happens.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence

from khive_supervisor import holder, logs
from khive_supervisor.client import ControlClient
from khive_supervisor.errors import KhiveError

log = logs.get("khive.session")

#: Seconds between two looks for a supervisor: the first, and the longest that follow.
LOOK_AFTER, LOOK_AFTER_MAX = 1.0, 10.0
#: Seconds between two looks whether the client is between two calls.
IDLE_AGAIN = 0.05


async def supervisor_is_back(store: str) -> None:
    """Return when the supervisor of a store answers."""
    delay = LOOK_AFTER
    while not await asyncio.to_thread(answers, store):
        await asyncio.sleep(delay)
        delay = min(LOOK_AFTER_MAX, delay * 1.5)


def answers(store: str) -> bool:
    """Return whether who holds a store answers, by now."""
    holds = holder.of(store)
    if holds is None or not holds.socket:
        return False
    try:
        with ControlClient(holds.socket) as client:
            client.request("ping")
    except (KhiveError, OSError):
        return False
    return True


async def come_over(
    store: str, idle: Callable[[], bool], leave: Callable[[], Awaitable[None]]
) -> None:
    """Wait for a supervisor and for the end of what is asked, then `leave`, which does not return.

    Args:
        store: whose supervisor.
        idle: whether nothing is asked just now.
        leave: becomes an attach.
    """
    await supervisor_is_back(store)
    while not idle():  # noqa: ASYNC110 - many things end a call; a look costs nothing
        await asyncio.sleep(IDLE_AGAIN)
    log.info("session.comes_over")
    await leave()


def become_attach(read_fd: int, write_fd: int, words: Sequence[str]) -> None:
    """Attach again with the client's pipes; does not return."""
    os.dup2(read_fd, 0)
    os.dup2(write_fd, 1)
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "attach", "--again", *words]
    os.execv(sys.executable, argv)  # noqa: S606 - our own interpreter
