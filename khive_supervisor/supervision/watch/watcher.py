"""Tells the workers that something they keep has changed: early, but never so that it is needed.

One watch on the store's directory for all of them. An event is only a hint: a look at
`data_version` confirms it, and the counters say what has changed. Workers check at each use by
themselves; what is told here lets idle ones refresh, and their clients hear of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection
from dataclasses import InitVar, dataclass, field
from typing import Any

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError, StoreReplaced
from khive_supervisor.freshness import BINDINGS, GENERATIONS, POSTERIORS, PROFILES, TASKS, Token
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import ChangeCounts
from khive_supervisor.supervision.control.sessions import SERVING, SessionTable
from khive_supervisor.supervision.processes.liveness import until_due
from khive_supervisor.supervision.watch.health import (
    INOTIFY,
    Identity,
    WatchHealth,
    WatchSigns,
    WatchStatus,
)
from khive_supervisor.supervision.watch.pace import FIRST_LOOK, Looks, Pace

log = logs.get("khive.watcher")

#: Kinds whose changes workers are told of.
PUSHED = frozenset({GENERATIONS, PROFILES, POSTERIORS, BINDINGS})

#: Seconds that the threads of a watch may take to end.
JOIN_DEADLINE = 2.0


class FreshnessStatus(WatchStatus):
    """What `status` shows of the watch, and of what came of it."""

    hints: int
    pushes: int


class HintRelay:
    """Carries events of some files from the watch's thread to the loop, many as one."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        paths: Collection[str],
        arrived: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._paths = frozenset(paths)
        self._arrived = arrived
        self._on_its_way = False

    def dispatch(self, event: Any) -> None:
        """Take an event, in a thread of the watch; never raises, since that would end it."""
        try:
            if not self._on_its_way and not self._paths.isdisjoint(_named(event)):
                self._on_its_way = True
                self._loop.call_soon_threadsafe(self._arrive)
        except Exception:  # noqa: BLE001 - the poll finds what is lost here
            self._on_its_way = False

    def _arrive(self) -> None:
        self._on_its_way = False
        self._arrived()


class DirectoryWatch:
    """A watch on a directory, not on what is below it: watchdog's observer with its threads.

    Making it raises OSError when the directory is not there, or the kernel has no watch to give.
    """

    def __init__(self, handler: HintRelay, directory: str) -> None:
        # Here, and not above: the supervisor alone needs it.
        from watchdog import events
        from watchdog.observers import Observer as DirectoryObserver

        kinds: list[type[events.FileSystemEvent]] = [
            events.FileModifiedEvent,
            events.FileCreatedEvent,
            events.FileMovedEvent,
            events.FileDeletedEvent,
            events.DirModifiedEvent,
            events.DirMovedEvent,
            events.DirDeletedEvent,
        ]
        observer = self.observer = DirectoryObserver()
        try:
            observer.schedule(handler, directory, recursive=False, event_filter=kinds)  # type: ignore[arg-type]  # only `dispatch` is called
            observer.start()
        except BaseException:
            observer.stop()  # it holds a descriptor from its beginning
            raise

    @property
    def alive(self) -> bool:
        """Return whether all of its threads run."""
        threads = (self.observer, *self.observer.emitters)
        return all(thread.is_alive() for thread in threads)

    def end(self) -> None:
        """End them; waits for that, though not for ever."""
        self.observer.stop()
        if self.observer.is_alive():
            self.observer.join(JOIN_DEADLINE)


def _named(event: Any) -> tuple[str, ...]:
    return os.fsdecode(event.src_path), os.fsdecode(event.dest_path or "")


@dataclass(slots=True, eq=False)
class Watcher:
    """The watch, the poll beside it, and the pushes; used only from the supervisor's loop.

    Attributes:
        path: the store's real one.
        sessions: the workers that are told.
        on_tasks: called when tasks have changed.
        observe: makes a watch of a directory.
    """

    path: str
    sessions: SessionTable
    poll_interval: InitVar[float]
    on_tasks: Callable[[], None] = lambda: None
    observe: Callable[[HintRelay, str], DirectoryWatch] = DirectoryWatch
    clock: Callable[[], float] = time.monotonic
    _health: WatchHealth = field(init=False)
    _watch: DirectoryWatch | None = None
    _store: SqliteStore | None = None
    _token: Token | None = None
    _counts: ChangeCounts | None = None
    _pace: Pace = field(default_factory=Pace)
    _looks: Looks = field(default_factory=Looks)
    _look_timer: asyncio.TimerHandle | None = None
    _push_timer: asyncio.TimerHandle | None = None
    _owed: set[str] = field(default_factory=set)
    _look_skipped: bool = False
    _hinted: bool = False
    _hints: int = 0
    _pushes: int = 0

    def __post_init__(self, poll_interval: float) -> None:
        self._health = WatchHealth(poll_interval)

    @property
    def _directory(self) -> str:
        return os.path.dirname(self.path)

    def configure(self, config: Config) -> None:
        """Poll at another interval from the next time on."""
        self._health.poll_interval = config.supervisor.poll_interval

    def describe(self) -> FreshnessStatus:
        """Return what `status` shows."""
        return {**self._health.describe(), "hints": self._hints, "pushes": self._pushes}

    async def run(self) -> None:
        """Watch and poll until cancelled; `stop` has to follow."""
        while True:
            await self._tick()
            await asyncio.sleep(until_due(self.clock(), self._health.interval))

    async def stop(self) -> None:
        """End every thread and timer; again is harmless."""
        for timer in (self._look_timer, self._push_timer):
            if timer is not None:
                timer.cancel()
        await asyncio.to_thread(self._end_watch)
        if self._store is not None:
            self._store.close()
            self._store = None

    # --- the poll -------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Look whether hints or not, and see to the watch."""
        self._open_store()
        hinted, self._hinted = self._hinted, False
        signs = WatchSigns(
            alive=self._watch is not None and self._watch.alive,
            directory=_identity(self._directory),
            hinted=hinted,
            moved=self._look(),
        )
        why = self._health.examine(self.clock(), signs)
        if why is not None:
            await self._watch_again(why, signs.directory)

    async def _watch_again(self, why: str, directory: Identity) -> None:
        """Make a watch in the place of the one there is, which no longer counts."""
        before = self._health.path
        await asyncio.to_thread(self._end_watch)
        if self._health.hopeless(why):
            error = "no events arrive from this file system"
            self._health.failed(self.clock(), why, directory, error)
        else:
            paths = (self.path, self.path + "-wal", self._directory)
            handler = HintRelay(asyncio.get_running_loop(), paths, self._hint)
            try:
                await asyncio.to_thread(self._begin_watch, handler)
            except (OSError, ImportError, RuntimeError) as error:
                self._health.failed(self.clock(), why, directory, str(error))
            else:
                self._health.built(why, directory)
        if self._health.path != before or self._health.path == INOTIFY:
            log.info("watcher.state", **self._health.describe())

    def _begin_watch(self, handler: HintRelay) -> None:
        self._watch = self.observe(handler, self._directory)

    def _end_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()

    # --- looks ----------------------------------------------------------------------------------

    def _hint(self) -> None:
        """Something was written: look soon, and again until a commit must have become visible."""
        self._hints += 1
        self._hinted = True
        if self._push_timer is not None:
            self._look_skipped = True  # nobody would be told before the push, which looks itself
            return
        self._look_in(self._looks.hint())

    def _look_in(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        if self._look_timer is not None:
            if self._look_timer.when() <= loop.time() + FIRST_LOOK:
                return  # a stream of hints must not put the look off for ever
            self._look_timer.cancel()
        self._look_timer = loop.call_later(delay, self._look_now)

    def _look_now(self) -> None:
        self._look_timer = None
        if self._push_timer is not None:
            self._look_skipped = True
            return
        self._look()
        delay = self._looks.looked()
        if delay is not None:
            self._look_in(delay)

    def _open_store(self) -> None:
        """Have a connection for the looks alone, which follows whatever is put in its place.

        It waits for no lock, so that it cannot hold the loop up.
        """
        if self._store is not None:
            return
        try:
            self._store = SqliteStore(self.path, busy_timeout=0.0, guarded=False)
        except KhiveError as error:
            log.debug("watcher.no_store", error=str(error))

    def _look(self) -> bool:
        """See whether there was a commit, and owe the workers what it changed."""
        if self._store is None:
            return False
        try:
            token = self._store.change_token()
            if token == self._token:
                return False
            counts = self._store.change_counts()
        except StoreReplaced:
            return False  # there is none: when one is back, what is in it is told of
        except KhiveError as error:  # busy, most likely: tell them too much rather than too little
            log.debug("watcher.busy", error=str(error))
            self._token = None
            self._owe(PUSHED)
            self.on_tasks()
            return True
        before, self._counts, self._token = self._counts, counts, token
        if before is not None:
            changed = counts.changed_since(before)
            self._owe(changed & PUSHED)
            if TASKS in changed:
                self.on_tasks()
        return before is not None

    # --- pushes ---------------------------------------------------------------------------------

    def _owe(self, kinds: Collection[str]) -> None:
        """Tell of these kinds as soon as the pace allows it."""
        self._owed.update(kinds)
        if self._owed and self._push_timer is None:
            wait = self._pace.wait(self.clock())
            if wait > 0:
                self._push_timer = asyncio.get_running_loop().call_later(wait, self._push)
            else:
                self._push()

    def _push(self) -> None:
        skipped, self._look_skipped = self._look_skipped, False
        if skipped:
            self._look()  # before the timer is forgotten: what is found goes with this push
        self._push_timer = None
        kinds, self._owed = sorted(self._owed), set()
        told = self.sessions.tell_all({"hint": "changed", "kinds": kinds}, kinds=SERVING)
        self._pace.sent(self.clock(), told)
        self._pushes += 1
        if skipped:
            self._look_in(self._looks.hint())  # a commit may yet have to become visible


def _identity(path: str) -> Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
