"""Pruning: by what is left of the salience; never what is pinned, needed or used."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.search.ranking import Age
from khive_supervisor.store.curation import Fading, Listing
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
DAY = 86_400.0


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    made = Context(
        config, SessionInfo(id="s", actor="ada"), socket_path=None, make_embedder=lambda: None,
        grant=OPERATOR,
    )  # fmt: skip
    yield made
    made.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return dict(REGISTRY.call(context, verb, args))


def old(context: Context, content: str, days: float, salience: float, decay: float) -> int:
    """Store a memory that was made so many days ago; return its number."""
    entry = NewEntry(
        "memory", "default", "episodic", "", content, salience=salience, decay=decay,
        created_at=time.time() - days * DAY,
    )  # fmt: skip
    (added,) = context.store.entries.add([entry])
    return added.id


def test_what_is_pinned_needed_or_used_stays_and_undo_brings_the_others_back(
    context: Context,
) -> None:
    faded = [old(context, f"Faded {n}.", 400, 0.3, 0.02) for n in range(5)]
    old(context, "Holds.", 400, 0.5, 0.0001)
    old(context, "Faded soon, and made of late.", 30, 0.3, 0.5)
    gone, gone_too, pinned, needed, used = (f"m{one}" for one in faded)
    (newer,) = (f"m{old(context, 'Needs it.', 1, 0.5, 0.0)}",)
    call(context, "memory.pin", ids=[pinned])
    call(context, "graph.link", **{"from": newer, "kind": "depends_on", "to": needed})
    call(context, "brain.feedback", target=used, signal="useful")

    told = call(context, "memory.prune")
    assert (told["would_prune"], told["kept"]) == (2, {"pinned": 1, "needed": 1, "used": 1})
    assert {one["id"] for one in told["entries"]} == {gone, gone_too}
    assert context.store.entries.live_count() == 8

    assert call(context, "memory.prune", limit=1, dry_run=False)["pruned"] == 1
    assert call(context, "memory.prune", dry_run=False)["pruned"] == 1
    assert context.store.entries.live_count() == 6
    assert call(context, "memory.prune")["would_prune"] == 0
    assert '"why":"faded"' in context.store.audit.page()[0].detail
    call(context, "memory.undo")
    call(context, "memory.undo")
    assert context.store.entries.live_count() == 8

    call(context, "graph.unlink", **{"from": newer, "kind": "depends_on", "to": needed})
    assert "needed" not in call(context, "memory.prune")["kept"]


@pytest.mark.parametrize("days", [1.0, 80.0, 200.0])
@pytest.mark.parametrize("decay", [0.0, 0.005, 0.02, 3.0])
def test_what_is_left_is_what_searches_rank_by(context: Context, days: float, decay: float) -> None:
    number = old(context, "One.", days, 0.3, decay)
    now = time.time()
    (found,) = context.store.lists.faded(Listing(), Fading(now, 2.0, 0.5 * DAY), 9)
    expected = 0.3 * Age(0.3, decay, days).kept
    assert found.id == number
    assert math.isclose(found.left, expected, rel_tol=1e-3, abs_tol=1e-12)
