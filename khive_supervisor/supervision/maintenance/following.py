"""Follows the transcripts of clients where the user has turned capturing on, and learns from them.

What is looked at: files that were written to lately, by their size and time of change. A session
that was begun before capturing was turned on is followed from there; an older one is for
`capture --backfill`. What a session taught is stored once it has paused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from khive_supervisor import logs
from khive_supervisor.capture.learning import learn
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_supervisor.store.interface import Store
from khive_supervisor.transcripts import finding
from khive_supervisor.transcripts.belonging import BelongingOf
from khive_supervisor.transcripts.looking import beginning_of
from khive_supervisor.transcripts.reading import TranscriptFile, take_in

log = logs.get("khive.capture")

#: Seconds between two looks for new files, since when a file must have been written to, and that a
#: session must have paused before it is learned from.
_FIND_EVERY, _LATELY, _PAUSED = 30.0, 2 * 86_400.0, 20.0
#: Readings of one look.
_AT_ONCE = 8


@dataclass(slots=True)
class _Followed:
    """A transcript that is followed: how it was, and which sessions wait to be learned from."""

    file: TranscriptFile
    seen: tuple[int, int] = (0, 0)
    waiting: set[str] = field(default_factory=set)
    grown_at: float = 0.0


class TranscriptFollower:
    """Belongs to the maintenance thread, and to its store."""

    def __init__(
        self,
        store: Store,
        config: Config,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        roots: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._clock = clock
        self._wall_clock = wall_clock
        self._roots = roots or finding.roots(paths.home(), os.environ)
        self._followed: dict[str, _Followed] = {}
        self._find_at = clock()

    def look(self) -> int:
        """Take in what is new; return how many events that was."""
        if not any(self._store.capture.switches().values()):
            self._followed.clear()
            return 0
        self._find()
        places = BelongingOf(
            self._store, self._config, paths.home(), paths.state_home(), told_only=True
        )
        grown = [one for one in self._followed.values() if self._has_grown(one)][:_AT_ONCE]
        events = sum(self._tried(one, places) for one in grown)
        self._learn()
        return events

    def _find(self) -> None:
        """Look for files that were written to lately, now and then."""
        now = self._clock()
        if self._followed and now < self._find_at:
            return
        self._find_at = now + _FIND_EVERY
        lately = self._wall_clock() - _LATELY
        found = {one.path: one for one in finding.transcripts(self._roots, lately)}
        self._followed = {
            path: self._followed.get(path) or _Followed(file) for path, file in found.items()
        }

    def _has_grown(self, followed: _Followed) -> bool:
        try:
            now = os.stat(followed.file.path)
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) != followed.seen

    def _tried(self, followed: _Followed, places: BelongingOf) -> int:
        """Read on; a file that cannot be read now is tried again when it has changed."""
        try:
            now = os.stat(followed.file.path)
            taken = take_in(
                self._store, followed.file, places, from_end=self._is_older(followed.file)
            )
        except (OSError, KhiveError) as error:
            log.warning("capture.unread", path=followed.file.path, error=str(error))
            return 0
        if not taken.more:
            followed.seen = (now.st_size, now.st_mtime_ns)
        if taken.events:
            followed.waiting |= taken.sessions
            followed.grown_at = self._clock()
        return taken.events

    def _is_older(self, file: TranscriptFile) -> bool:
        """Return True for a session that had begun before capturing was turned on."""
        if self._store.capture.cursor(file.path) is not None:
            return False
        return beginning_of(file).at < self._store.capture.enabled_since()

    def _learn(self) -> None:
        """Learn from sessions that have paused."""
        now = self._clock()
        for one in self._followed.values():
            if one.waiting and now - one.grown_at >= _PAUSED:
                waiting, one.waiting = one.waiting, set()
                for session in waiting:
                    self._learned(one.file.client, session)

    def _learned(self, client: str, session: str) -> None:
        """Learn from a session; what fails is in the journal, and is learned with what follows."""
        try:
            learn(self._store, client, session, ended=True)
        except KhiveError as error:
            log.warning("capture.unlearned", client=client, session=session, error=str(error))
