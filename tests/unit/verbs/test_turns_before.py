"""A learned turn of a conversation is found by the turn before it, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.ingest import TURN_BEFORE

REGISTRY = loading.load()
DIMENSIONS = 8


class Axes:
    """An embedder that gives each text that it sees an axis of its own."""

    model_id, dimensions = "axes", DIMENSIONS

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.seen += [text for text in texts if text not in self.seen]
        return np.eye(DIMENSIONS, dtype=np.float32)[[self.seen.index(text) for text in texts]]

    def close(self) -> None:
        """Have nothing to let go of."""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    axes = Axes()
    made = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: axes, grant=OPERATOR
    )
    yield made
    made.close()


def learned(context: Context, *contents: str) -> np.ndarray:
    """Return the stored vectors of texts that one source says, in order."""
    entries = [{"content": text, "source": "/talk.txt"} for text in contents]
    ids = REGISTRY.call(context, "knowledge.learn", {"entries": entries})["ids"]
    rows = context.store.vectors.of("axes", [int(one[1:]) for one in ids])
    return np.array([np.frombuffer(row.data, "<f2") for row in rows], np.float32)


def test_a_turn_has_some_of_the_turn_before(context: Context) -> None:
    vectors = learned(context, "Ada: where is it?", "Bob: in the cellar", "Ada: thanks")
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=2e-3)
    np.testing.assert_allclose(vectors[0], np.eye(DIMENSIONS)[0])
    for turn in (1, 2):
        assert vectors[turn][turn - 1] / vectors[turn][turn] == pytest.approx(TURN_BEFORE, rel=5e-3)


def test_sections_have_vectors_of_their_own(context: Context) -> None:
    vectors = learned(context, "Install it.", "Then start it.", "At last remove it.")
    np.testing.assert_allclose(vectors, np.eye(DIMENSIONS)[:3])
