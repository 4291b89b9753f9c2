"""The supervisor's entries on their way to the chain: in order, also after a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.audit import AuditLog
from khive_supervisor.supervision.maintenance import outbox as trail_module
from khive_supervisor.supervision.maintenance.outbox import AuditOutbox


class Disk:
    """A chain that cannot be written while the disk is full."""

    def __init__(self, tmp_path: Path) -> None:
        self.store = SqliteStore(str(tmp_path / "khive.db"))
        self.full = False
        self.wall = 0.0
        self.tried = asyncio.Event()
        self.trail = AuditOutbox(self.work, wall_clock=lambda: self.wall)

    async def work(self, work: Callable[[AuditLog], None]) -> None:
        self.tried.set()
        if self.full:
            raise StoreUnavailable("full")
        work(self.store.audit)

    def told(self) -> list[tuple[str, float]]:
        return [(entry.kind, entry.at) for entry in self.store.audit.entries()]


def test_what_cannot_be_written_is_written_later_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_module, "AGAIN", 0.0)

    async def main() -> None:
        disk = Disk(tmp_path)
        disk.full = True
        running = asyncio.create_task(disk.trail.run())
        disk.trail.note("one", "supervisor", {})
        await disk.tried.wait()
        disk.wall = 5.0
        disk.trail.note("two", "supervisor", {"a": 1}, actor="ada")
        assert not await disk.trail.flush()
        assert disk.told() == []
        disk.full = False
        assert await disk.trail.flush()
        assert disk.told() == [("one", 0.0), ("two", 5.0)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        disk.store.close()

    asyncio.run(asyncio.wait_for(main(), 30))


def test_a_disk_that_stays_full_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail_module, "WAITING", 2)

    async def main() -> None:
        disk = Disk(tmp_path)
        for name in ("one", "two", "three"):
            disk.trail.note(name, "supervisor", {})
        assert await disk.trail.flush()
        assert [kind for kind, _ in disk.told()] == ["one", "two"]
        disk.store.close()

    asyncio.run(asyncio.wait_for(main(), 30))
