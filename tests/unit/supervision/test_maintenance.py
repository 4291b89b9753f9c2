"""What the maintenance thread forgets, and when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.service import JournalSettings, StoreSettings, TaskSettings
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.journal.model import JournalEvent
from khive_supervisor.supervision.maintenance import loop as maintenance
from khive_supervisor.supervision.maintenance.loop import FORGET_EVERY, Maintenance, StoreLook
from khive_supervisor.tasks.model import NewTask
from khive_supervisor.team.waiting import Standing

DAY = 86400.0


def test_old_tasks_are_deleted_a_few_at_a_time_and_looked_for_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "FORGET_AT_ONCE", 2)
    path = str(tmp_path / "khive.db")
    config = replace(Config(), store=StoreSettings(path=path), tasks=TaskSettings(keep=DAY))
    now, wall = [0.0], [1000 * DAY]
    with SqliteStore(path, clock=lambda: wall[0]) as store:
        kept = store.tasks.assign(NewTask("r"))[0].id
        for _ in range(3):
            store.tasks.cancel(store.tasks.assign(NewTask("r"))[0].id)
        keeper = Maintenance(config, None, clock=lambda: now[0], wall_clock=lambda: wall[0])
        try:
            keeper.forget_tasks()
            assert len(store.tasks.page()) == 4
            wall[0] += DAY + 1
            keeper.forget_tasks()  # it has looked a moment ago
            assert len(store.tasks.page()) == 4
            now[0] += FORGET_EVERY
            keeper.forget_tasks()
            assert len(store.tasks.page()) == 2
            keeper.forget_tasks()
            assert [task.id for task in store.tasks.page()] == [kept]
        finally:
            keeper.close()


def test_old_events_of_journals_are_deleted(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    config = replace(Config(), store=StoreSettings(path=path), journal=JournalSettings(keep=DAY))
    now, wall = [0.0], [1000 * DAY]
    with SqliteStore(path, clock=lambda: wall[0]) as store:
        store.journal.append([JournalEvent("codex", "s", "prompt", "user", "go")])
        keeper = Maintenance(config, None, clock=lambda: now[0], wall_clock=lambda: wall[0])
        try:
            keeper.forget_journal()
            wall[0] += DAY + 1
            keeper.forget_journal()  # it has looked a moment ago
            assert store.journal.count() == 1
            now[0] += FORGET_EVERY
            keeper.forget_journal()
            assert store.journal.count() == 0
        finally:
            keeper.close()


def test_what_fails_when_the_store_is_tended_leaves_what_was_seen_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "khive.db")
    keeper = Maintenance(replace(Config(), store=StoreSettings(path=path)), None)

    def full() -> None:
        raise OSError(28, "No space left on device")

    try:
        assert keeper.tend() == keeper.look_at_all()
        monkeypatch.setattr(keeper, "forget_tasks", full)
        assert keeper.tend() == StoreLook(Standing(), None)
    finally:
        keeper.close()
