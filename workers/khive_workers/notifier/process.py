"""The notifier: looks at what happened, and has each channel told.

    python -P -m khive_workers.notifier --parent-fd N

It says `ready` on the parent's descriptor, and ends when that reports the end, or on SIGTERM. It
may be killed at any instant: what was not noted as sent is sent again, with the same key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from khive_supervisor import exitcodes, logs
from khive_supervisor.channels.addresses import Address, resolve, variables_of
from khive_supervisor.channels.hours import QuietHours
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.channels import Channel
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.store.interface import Store
from khive_supervisor.store.workflows.offices import Office
from khive_workers.common import runtime
from khive_workers.notifier.delivering import Deliverer
from khive_workers.notifier.helper import Helper
from khive_workers.notifier.looking import Looker

log = logs.get("khive.channels")

#: Seconds between two looks at whether anything was committed, and at what is no entry.
TICK, LOOK_AROUND_EVERY = 0.5, 10.0
#: Seconds for which what was sent is kept, and how many rows are deleted at once.
KEEP, FORGET_AT_ONCE = 30 * 86400.0, 500
#: Bytes of a file with an address.
_ADDRESS_LIMIT = 8192


class NotifierProcess:
    """One run of the notifier; used from its loop, but for what the store's thread does."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._stop = asyncio.Event()
        self._store: Store | None = None
        self._looker: Looker | None = None
        self._token: object = None
        self._around_at = 0.0
        self._deliverers = [self._deliverer(channel) for channel in config.channels]

    def _deliverer(self, channel: Channel) -> Deliverer:
        hidden = {snapshot.VARIABLE} | {n for c in self._config.channels for n in variables_of(c)}
        environment = {n: value for n, value in os.environ.items() if n not in hidden}
        return Deliverer(
            channel,
            self.with_store,
            Helper(environment),
            lambda: address_of(channel),
            self._quiet_left,
            office=lambda: self._office(channel),
        )

    def _office(self, channel: Channel) -> Office:
        assert self._looker is not None, "it is made with the store"
        return self._looker.office_of(channel)

    def _quiet_left(self, quiet: QuietHours) -> float:
        return quiet.left(self._looker.local()) if self._looker is not None else 0.0

    async def with_store(self, work: Callable[[Store], Any]) -> Any:
        """Run something with the store, in the one thread that may wait for a disk."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(self._opened()))

    def _opened(self) -> Store:
        if self._store is None:
            self._store = open_store(self._config, actor=lambda: "notifier")
            self._looker = Looker(self._store, self._config.channels)
            self._looker.begin()
        return self._store

    async def run(self, parent: int) -> None:
        """Have channels told until SIGTERM or the parent's end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_reader(parent, self._parent_spoke, parent)
        await self.with_store(lambda _store: None)
        os.write(parent, b"ready\n")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for one in self._deliverers]
            tasks.append(group.create_task(self._look()))
            await self._stop.wait()
            for task in tasks:
                task.cancel()

    def _parent_spoke(self, parent: int) -> None:
        """Answer it; its end is ours."""
        if not runtime.answer_parent(parent):
            os._exit(exitcodes.OK)

    async def _look(self) -> None:
        """Look at each tick; channels are woken by what was found."""
        while True:
            try:
                if await self.with_store(lambda _store: self._look_once()):
                    for one in self._deliverers:
                        one.wake()
            except (KhiveError, OSError) as error:  # busy, full: the next look may do better
                log.warning("channels.not_looked", error=str(error))
            await asyncio.sleep(TICK)

    def _look_once(self) -> bool:
        """Look at what is new, in the store's thread; return True if somebody is to be told."""
        store, looker = self._store, self._looker
        assert store is not None
        assert looker is not None
        found = False
        token = store.data_version()
        if token != self._token:
            while looker.look():
                found = True
            # A test message is put into the store without any entry.
            found, self._token = True, token
        if time.monotonic() >= self._around_at:
            self._around_at = time.monotonic() + LOOK_AROUND_EVERY
            found |= looker.look_around()
            store.deliveries.forget(time.time() - KEEP, FORGET_AT_ONCE)
        return found


def address_of(channel: Channel) -> Address:
    """Return where a channel's messages go, as the environment and files are now."""
    return resolve(channel, os.environ, _first_line)


def _first_line(path: str) -> str:
    data, _ = read_regular(path, _ADDRESS_LIMIT)
    return data.decode("utf-8", "replace").partition("\n")[0].strip()


def main(argv: list[str]) -> int:
    """Run the process; return its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    options = parser.parse_args(argv)
    runtime.reset_signals()
    runtime.name_process("khive-notifier")
    logs.to_stderr("warning")
    os.set_blocking(options.parent_fd, False)
    try:
        config = snapshot.from_environment()
        asyncio.run(_run(config, options.parent_fd))
    except KhiveError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return exitcodes.OK


async def _run(config: Config, parent: int) -> None:
    await NotifierProcess(config).run(parent)
