"""What is believed of the watch on the store's directory, and when it is made anew: pure.

A watch can die in ways that nobody reports: its thread ends, its directory is replaced, the kernel
drops events, or the file system never sends any. So a slow poll looks beside it and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

#: Seconds between polls while nothing is watched, and between attempts to watch again.
POLL_ALONE, WATCH_AGAIN = 0.25, 60.0

#: Watches made in a row because events were missed, without one event from any of them, after which
#: it is taken that the file system sends none.
FRUITLESS = 3

#: Device and inode of a directory; None: it is not there.
Identity = tuple[int, int] | None

INOTIFY, POLL = "inotify", "poll"

#: Why a watch is made anew.
DIED, GONE, REPLACED, MISSED = (
    "its thread has ended",
    "the directory is gone",
    "the directory was replaced",
    "events were missed",
)


@dataclass(frozen=True, slots=True)
class WatchSigns:
    """What a tick found.

    `alive`: all threads of the watch run; `directory`: which one is in its place; `hinted`: there
    was an event since the last tick; `moved`: this tick was the first to see a commit.
    """

    alive: bool
    directory: Identity
    hinted: bool
    moved: bool


class WatchStatus(TypedDict):
    """What `status` shows of the watch."""

    path: str
    reason: str
    rebuilds: int
    missed: int
    last_rebuild_reason: str


@dataclass(slots=True)
class WatchHealth:
    """`inotify` -> watched; `poll` -> not watched, for a reason; counts what happened to it."""

    poll_interval: float
    path: str = POLL
    reason: str = "not watched yet"
    rebuilds: int = 0
    missed: int = 0
    last_rebuild_reason: str = ""
    _why: str = ""
    _watched: bool = False
    _tried: Identity = None
    _try_at: float = float("-inf")
    _unexplained: bool = False
    _fruitless: int = 0

    @property
    def interval(self) -> float:
        """Seconds until the next tick."""
        return self.poll_interval if self.path == INOTIFY else min(POLL_ALONE, self.poll_interval)

    def examine(self, now: float, signs: WatchSigns) -> str | None:
        """Why a watch has to be made now; None: leave everything as it is."""
        if self.path == POLL:
            again = now >= self._try_at or signs.directory != self._tried
            return self._why if again else None
        if signs.hinted:
            self._fruitless = 0
        # One that is late by a few milliseconds is not missed: it has until the next tick.
        missed = self._unexplained and not signs.hinted
        self._unexplained = signs.moved and not signs.hinted
        self.missed += missed
        if not signs.alive:
            return DIED
        if signs.directory != self._tried:
            return REPLACED if signs.directory else GONE
        return MISSED if missed else None

    def built(self, why: str, directory: Identity) -> None:
        """A watch was made, and works as far as one can see."""
        if self._watched:
            self.rebuilds += 1
            self.last_rebuild_reason = why
        self.path, self.reason, self._watched = INOTIFY, "", True
        self._tried = directory
        self._unexplained = False

    def failed(self, now: float, why: str, directory: Identity, error: str) -> None:
        """None could be made. `poll` -> `poll`, or `inotify` -> `poll`."""
        self.path, self.reason, self._why = POLL, error, why
        self._tried, self._try_at = directory, now + WATCH_AGAIN

    def hopeless(self, why: str) -> bool:
        """Return whether another watch for this reason would see as little as the last ones."""
        if self.path == POLL or why != MISSED:
            return False
        self._fruitless += 1
        return self._fruitless > FRUITLESS

    def describe(self) -> WatchStatus:
        """Return what `status` shows of it."""
        return {
            "path": self.path,
            "reason": self.reason,
            "rebuilds": self.rebuilds,
            "missed": self.missed,
            "last_rebuild_reason": self.last_rebuild_reason,
        }
