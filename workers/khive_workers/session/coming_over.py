"""A session that serves itself comes over to a supervisor when there is one, between two calls.

It becomes the `attach` that it was before, with the same pipes, journal and inbox: to the client
nothing happens.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence

from khive_supervisor import logs
from khive_supervisor.attach import reserve
from khive_supervisor.attach.channel import FORWARDED
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import holder

log = logs.get("khive.session")

#: Seconds between two looks for a supervisor: the first, and the longest that follow.
LOOK_AFTER, LOOK_AFTER_MAX = 1.0, 10.0
#: Looks in vain between two attempts to start one.
START_EVERY = 4
#: Seconds between two looks whether the client is between two calls.
IDLE_AGAIN = 0.05


async def supervisor_is_back(store: str, start: Starter) -> None:
    """Return when the supervisor of a store answers; starts one now and then if there is none."""
    delay = LOOK_AFTER
    for turn in itertools.count():
        if await asyncio.to_thread(answers, store):
            return
        # Of many sessions that serve themselves, not all at once.
        if (turn + start.offset) % START_EVERY == 0 and not holder.held(store):
            start()
        await asyncio.sleep(delay)
        delay = min(LOOK_AFTER_MAX, delay * 1.5)


class Starter:
    """Starts a supervisor that is nobody's child, for as long as this process waits for it."""

    def __init__(self, config_file: str | None, *, others: bool | None = None) -> None:
        self._words = ["--config", config_file] if config_file else []
        #: Whether it is for the reserve to start one, as long as there is one.
        self._others = others
        #: Who is the reserve's own starts one soon, the only one there is.
        self.offset = START_EVERY - 1 if others is False else os.getpid()
        self._told = -1

    def __call__(self) -> None:
        """Start one; that it fails is no news. What was started before, and is not there, ends."""
        self.close()
        if self._others and reserve.is_there():
            return
        self._told, tell = os.pipe()
        argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--tell-fd", str(tell)]
        kept_back = (*FORWARDED, "NOTIFY_SOCKET")
        try:
            subprocess.run(
                ["/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *argv, *self._words],
                start_new_session=True,
                pass_fds=[tell],
                env={n: v for n, v in os.environ.items() if n not in kept_back},
                check=False,
            )
        except OSError as error:
            log.debug("session.start_failed", error=str(error))
        finally:
            os.close(tell)

    def close(self) -> None:
        """Wait for it no longer; idempotent."""
        if self._told >= 0:
            os.close(self._told)
            self._told = -1


def answers(store: str) -> bool:
    """Return whether who holds a store answers, and has somebody who starts workers, by now."""
    holds = holder.of(store)
    if holds is None or not holds.socket:
        return False
    try:
        with ControlClient(holds.socket) as client:
            status = client.request("status")
    except (KhiveError, OSError):
        return False
    zygotes = [one for one in status.get("children", ()) if one.get("name") == "zygote"]
    return all(one.get("state") in ("ready", "fatal") for one in zygotes)


async def come_over(
    store: str,
    start: Starter,
    idle: Callable[[], bool],
    leave: Callable[[], Awaitable[None]],
) -> None:
    """Wait for a supervisor and for the end of what is asked, then `leave`, which does not return.

    Args:
        store: whose supervisor.
        start: starts one, as far as it can.
        idle: whether nothing is asked just now.
        leave: becomes an attach.
    """
    await supervisor_is_back(store, start)
    while not idle():  # noqa: ASYNC110 - many things end a call; a look costs nothing
        await asyncio.sleep(IDLE_AGAIN)
    log.info("session.comes_over")
    await leave()


def become_attach(read_fd: int, write_fd: int, words: Sequence[str]) -> None:
    """Attach again with the client's pipes; does not return."""
    os.dup2(read_fd, 0)
    os.dup2(write_fd, 1)
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "attach"]
    argv += ["--again", "--comes-over", *words]
    os.execv(sys.executable, argv)  # noqa: S606 - our own interpreter
