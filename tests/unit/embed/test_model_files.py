"""The bundled model: the files that were recorded, and vectors that mean something."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from khive_supervisor.embed.base import TEXT_LIMIT
from khive_supervisor.embed.bundled import MODEL_DIRECTORY, model_files
from khive_supervisor.embed.factory import in_process
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.embed.names import model_id_of
from khive_supervisor.errors import BootFailure

TEXTS = [
    "The cat slept on the sofa all afternoon.",
    "A kitten was napping on the couch.",
    "Invoices are paid within thirty days.",
    "How do I roll back a database migration?",
    "alembic downgrade -1 reverts the last schema change",
]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM(threads=2)


def test_files_are_the_recorded_ones() -> None:
    about = json.loads((MODEL_DIRECTORY / "MODEL.json").read_text())
    for part in ("graph", "vocabulary"):
        data = (MODEL_DIRECTORY / about[part]["file"]).read_bytes()
        assert len(data) == about[part]["bytes"]
        assert hashlib.sha256(data).hexdigest() == about[part]["sha256"]


def test_licence_and_notice_travel_with_the_model() -> None:
    licence = (MODEL_DIRECTORY / "LICENSE").read_text()
    notice = (MODEL_DIRECTORY / "NOTICE").read_text()
    assert "Apache License" in licence
    assert "Version 2.0" in licence
    assert "all-MiniLM-L6-v2" in notice
    assert "changed" in notice


def test_vectors_are_unit_rows_of_float32(model: MiniLM) -> None:
    vectors = model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), model.dimensions) == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_likeness_follows_meaning(model: MiniLM) -> None:
    likeness = model.embed(TEXTS) @ model.embed(TEXTS).T
    assert likeness[0, 1] > 0.6
    assert likeness[3, 4] > likeness[3, 2] + 0.2
    assert abs(likeness[0, 2]) < 0.2


#: Cosine of the first and second text in the original float32 model, and of the first and third.
ORIGINAL = {(0, 1): 0.7017, (0, 2): 0.0622, (3, 4): 0.3870}


def test_quantising_moved_likeness_little(model: MiniLM) -> None:
    vectors = model.embed(TEXTS)
    for (left, right), original in ORIGINAL.items():
        assert abs(float(vectors[left] @ vectors[right]) - original) < 0.03


def test_a_vector_does_not_depend_on_its_neighbours(model: MiniLM) -> None:
    together = model.embed([*TEXTS, "word " * 400, ""])
    for row, text in enumerate([*TEXTS, "word " * 400, ""]):
        assert np.array_equal(model.embed([text])[0], together[row])


def test_no_texts_give_no_rows(model: MiniLM) -> None:
    assert model.embed([]).shape == (0, 384)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0), (" ", 0), ("\x00", 0), ("\ud800", 0), ("🙂" * 3, 0), ("x" * 10_000, 0),
        ("a b " * 20_000, 1), ("a\ud800b c", 1),
    ],
)  # fmt: skip
def test_any_text_has_a_vector_or_zeros(model: MiniLM, text: str, length: int) -> None:
    vector = model.embed([text])[0]
    assert np.isfinite(vector).all()
    assert abs(np.linalg.norm(vector) - length) < 1e-5


def test_only_the_beginning_of_a_text_counts(model: MiniLM) -> None:
    beginning = "the same beginning again and again " * 60
    one, other = model.embed([beginning + "cats", beginning + "database"])
    assert np.array_equal(one, other)
    spaces = " " * TEXT_LIMIT
    assert np.array_equal(*model.embed([spaces + "cats", spaces]))


def test_a_damaged_installation_is_said(tmp_path: Path) -> None:
    with pytest.raises(BootFailure, match="cannot be loaded"):
        MiniLM(directory=tmp_path)
    about = (MODEL_DIRECTORY / "MODEL.json").read_text()
    (tmp_path / "MODEL.json").write_text(about)
    (tmp_path / "vocab.txt").write_bytes(model_files().vocabulary.read_bytes())
    (tmp_path / model_files().graph.name).write_bytes(b"not a graph")
    with pytest.raises(BootFailure, match="cannot be loaded"):
        MiniLM(directory=tmp_path)


def test_the_configured_model_is_the_bundled_one(model: MiniLM) -> None:
    from khive_supervisor.config.settings.search import EmbedderSettings

    settings = EmbedderSettings()
    assert model_id_of(settings) == model.model_id == "all-minilm-l6-v2-int8"
    made = in_process(settings)
    assert made is not None
    assert made.dimensions == model.dimensions
