"""The supervisor's entries on their way to the chain: in order, also after a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.maintenance import audit_events, outbox
from khive_supervisor.supervision.maintenance.audit_events import AuditEvents


class Disk:
    """A chain that cannot be written while the disk is full."""

    def __init__(self, tmp_path: Path) -> None:
        self.store = SqliteStore(str(tmp_path / "khive.db"))
        self.full = False
        self.wall = 0.0
        self.tried = asyncio.Event()
        self.audit = AuditEvents(self.work, wall_clock=lambda: self.wall)

    async def work(self, work: Callable[[Store], object]) -> None:
        self.tried.set()
        if self.full:
            raise StoreUnavailable("full")
        work(self.store)

    def told(self) -> list[tuple[str, float]]:
        return [(entry.kind, entry.at) for entry in self.store.audit.entries()]


def test_what_cannot_be_written_is_written_later_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AGAIN", 0.0)

    async def main() -> None:
        disk = Disk(tmp_path)
        disk.full = True
        running = asyncio.create_task(disk.audit.outbox.run())
        disk.audit.note("test.one", "supervisor", {})
        await disk.tried.wait()
        disk.wall = 5.0
        disk.audit.note("test.two", "supervisor", {"a": 1}, actor="ada")
        assert not await disk.audit.outbox.flush()
        assert disk.told() == []
        disk.full = False
        assert await disk.audit.outbox.flush()
        assert disk.told() == [("test.one", 0.0), ("test.two", 5.0)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        disk.store.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_disk_that_stays_full_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_events, "WAITING", 2)

    async def main() -> None:
        disk = Disk(tmp_path)
        for name in ("test.one", "test.two", "test.three"):
            disk.audit.note(name, "supervisor", {})
        assert await disk.audit.outbox.flush()
        assert [kind for kind, _ in disk.told()] == ["test.one", "test.two"]
        disk.store.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_one_reason_is_told_once_until_something_was_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum(one.getMessage().startswith("audit.not_written") for one in caplog.records)

    async def main() -> None:
        disk = Disk(tmp_path)
        for times in (1, 2):
            disk.full = True
            disk.audit.note("index.build", "index", {})
            for _ in range(3):
                assert not await disk.audit.outbox.flush()
            assert told() == times
            disk.full = False
            assert await disk.audit.outbox.flush()
        disk.store.close()

    asyncio.run(asyncio.wait_for(main(), 60))
