"""How the index builder stands back for others, and when it does not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from khive_workers import index_builder
from khive_workers.index_builder import BuildPlan, Work, yield_to_others

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


@pytest.mark.parametrize(
    ("newer", "nice"), [(3, index_builder.NICE), (4, index_builder.OVERDUE_NICE)]
)
def test_a_builder_stands_back_unless_searches_have_to_read_what_it_owes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, newer: int, nice: int
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(os, "setpriority", lambda _which, _who, value: taken.append(value))
    monkeypatch.setattr(index_builder, "DELTA_LIMIT", 3)
    vector = np.ones(4, "<f2").tobytes()
    entries = [NewEntry("memory", "n", "semantic", "", f"fact {n}") for n in range(newer)]
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        store.entries.add(entries, [vector] * newer, "m")
        yield_to_others(Work(store, BuildPlan("m", 4), None, lambda _event: None))
    assert taken == [nice]
