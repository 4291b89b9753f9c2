"""Which projects are one: clones, and repositories that were moved, confirmed in the background.

A session is never kept waiting for it. Where projects have a candidate mark in common, git is asked
for the root commits, one repository at a time; what was found out is remembered in the store.
"""

from __future__ import annotations

import asyncio
import os

from khive_supervisor import logs
from khive_supervisor.errors import KhiveError
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.projects.roots import PATIENCE, git_for_roots, roots_of, with_fetched
from khive_supervisor.store.projects import ProjectRow
from khive_supervisor.supervision.maintenance.aside import Aside
from khive_supervisor.supervision.maintenance.outbox import InThread

log = logs.get("khive.projects")

#: Seconds beside those that git may take: the files that are read before and after.
SLACK = 5.0
#: Projects that wait at most, and new ones that are looked at in one turn.
MOST_WAITING, AT_ONCE = 256, 16
#: Looks that found nothing and are remembered, so that each session need not repeat them.
MOST_REMEMBERED = 1024


class Confirmation:
    """Looks at one project after the other; used only from the supervisor's loop."""

    def __init__(self, with_store: InThread) -> None:
        self._with_store = with_store
        self._git = git_for_roots(os.environ)
        self._aside = Aside(PATIENCE + SLACK, most=1)
        self._waiting: dict[ProjectIdentity, None] = {}
        self._wanted = asyncio.Event()
        self._in_vain: set[tuple[object, ...]] = set()

    def arrived(self, identity: ProjectIdentity | None) -> None:
        """Look at the project of a session that has just come, when there is time."""
        if identity is not None and identity.candidates and len(self._waiting) < MOST_WAITING:
            self._waiting[identity] = None
            self._wanted.set()

    def stored(self) -> None:
        """Look at projects that were stored just now."""
        self._wanted.set()

    async def run(self) -> None:
        """Look at what waits, until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    await self.look()
                except (KhiveError, OSError, TimeoutError) as error:  # the next session asks again
                    log.warning("projects.not_confirmed", error=str(error))
        finally:
            self._git.stop()

    async def look(self) -> None:
        """Look at what waits now, one after the other; raises KhiveError, OSError, TimeoutError."""
        for row in await self._with_store(lambda store: store.projects.unconfirmed(AT_ONCE)):
            await self._note(row)
        while self._waiting:
            identity = next(iter(self._waiting))
            del self._waiting[identity]
            await self._confirm(identity)

    async def _note(self, row: ProjectRow) -> None:
        """Store the roots of a project, as long as it is still where it was."""
        common = next((m.removeprefix("git:") for m in row.marks if m.startswith("git:")), "")
        roots = await self._roots(common)
        await self._with_store(lambda store: store.projects.note_roots(row.id, roots or ()))

    async def _roots(self, common: str) -> frozenset[str] | None:
        try:
            return await self._aside.run(lambda: roots_of(self._git, common))
        except TimeoutError:  # the disk of the repository does not answer
            return None

    async def _confirm(self, identity: ProjectIdentity) -> None:
        """Join a project to those with the same candidates whose history it has."""
        own = await self._with_store(lambda store: store.projects.without_roots(identity))
        claimed = await self._aside.run(lambda: with_fetched(identity))
        await self._with_store(lambda store: store.projects.note_candidates(claimed))
        others = await self._with_store(lambda store: store.projects.joinable(claimed))
        look = (identity, own, *sorted(number for number, _ in others))
        if (own is None and not others) or look in self._in_vain:
            return
        roots = await self._roots(identity.base.removeprefix("git:"))
        if own is not None and roots:
            await self._with_store(lambda store: store.projects.note_roots(own, roots))
        same = next((number for number, theirs in others if roots and roots & theirs), None)
        if same is not None:
            log.info("projects.joined", project=same, mark=identity.base)
            await self._with_store(lambda store: store.projects.join(identity, same))
            return
        if len(self._in_vain) >= MOST_REMEMBERED:
            self._in_vain.clear()
        self._in_vain.add(look)
