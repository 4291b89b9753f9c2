"""What is stored of the roles: in turn, whole, and again if the disk did not take it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pool_support import ROLE, Fakes, until, with_pool

from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.supervision.maintenance import outbox
from khive_supervisor.supervision.roles.persistence import RoleRows
from khive_supervisor.supervision.roles.worker import RoleWorker
from khive_supervisor.tasks.model import Released


class Told:
    """A store whose facets note what they are told, and may refuse it."""

    def __init__(self) -> None:
        self.tasks = self.roles = self.budgets = self
        self.told: list[tuple[str, Any]] = []
        self.refuse = False

    def release(self, worker: str, *, died: bool) -> list[Released]:
        return self._tell("release", (worker, died))

    def set(self, rows: Sequence[Any]) -> None:
        self._tell("rows", [row.role for row in rows])

    def set_limits(self, limits: dict[str, Any]) -> None:
        self._tell("limits", sorted(limits))

    def _tell(self, what: str, value: Any) -> list[Released]:
        if self.refuse:
            raise StoreUnavailable("The disk is full.")
        self.told.append((what, value))
        return []


def rows_of(fakes: Fakes, store: Told) -> RoleRows:
    async def in_thread(work: Callable[[Any], Any]) -> Any:
        return work(store)

    return RoleRows({"py": fakes.pool}, in_thread, lambda _released, _worker: None)


def gone(name: str) -> RoleWorker:
    return SimpleNamespace(name=name, pid=7)  # type: ignore[return-value]  # as far as is looked at


@with_pool
async def test_what_is_owed_is_stored_in_order_and_once(fakes: Fakes) -> None:
    store = Told()
    rows = rows_of(fakes, store)
    fakes.pool.begin()
    rows.changed()
    rows.release(gone("a"), died=True)
    rows.release(gone("b"), died=False)
    assert await rows.outbox.flush()
    assert store.told == [
        ("release", ("a:7", True)),
        ("release", ("b:7", False)),
        ("rows", ["py"]),
        ("limits", []),
    ]
    assert await rows.outbox.flush()
    assert len(store.told) == 4


@with_pool
async def test_a_role_that_never_worked_has_no_row_yet(fakes: Fakes) -> None:
    store = Told()
    rows = rows_of(fakes, store)
    rows.changed()
    assert await rows.outbox.flush()
    assert store.told == [("rows", []), ("limits", [])]


@with_pool
async def test_what_the_disk_refused_is_tried_again(fakes: Fakes) -> None:
    store = Told()
    store.refuse = True
    rows = rows_of(fakes, store)
    rows.release(gone("a"), died=True)
    assert not await rows.outbox.flush()
    assert store.told == []
    store.refuse = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "AGAIN", 0.0)
        keeping = asyncio.create_task(rows.outbox.run())
        await until(lambda: len(store.told) == 3)
    keeping.cancel()
    assert store.told == [("release", ("a:7", True)), ("rows", []), ("limits", [])]


@with_pool
async def test_limits_hold_at_once_and_a_refusal_is_no_end(fakes: Fakes) -> None:
    store = Told()
    rows = rows_of(fakes, store)
    limited = Role("other", ("work",), ROLE.handler, budget=Budget(weekly=1.0))
    await rows.limit([ROLE, limited])
    assert store.told == [("limits", ["other"])]
    store.refuse = True
    await rows.limit([ROLE])
    assert store.told == [("limits", ["other"])]
