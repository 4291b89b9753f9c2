"""A text of which the embedder knows nothing has no meaning: nothing is near to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.search.engine import SearchEngine
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, NewEntry

MODEL = MiniLM()
THAI_MEETING = "การประชุมจะมีขึ้นในวันพุธ"
THAI_PASSWORD = "รหัสผ่านฐานข้อมูลอยู่ในตู้เซฟ"
AMHARIC = "ሰላም"
UNKNOWN = (
    THAI_MEETING, THAI_PASSWORD, AMHARIC, "გამარჯობა", "᚛", "?", "...", "", " ", "🚀🚀",
    f"{THAI_MEETING} 5", f"Note: {THAI_PASSWORD}", "A" * 150, "--- *** ---",
)  # fmt: skip
KNOWN = (
    "hello", "deploy done 🚀", "port 8080", "9f3c2ab", "Besprechung am Mittwoch", "это тест",
    "the code ᚛ is used in this long sentence", "C++", "x", "42",
)  # fmt: skip


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_unknown_has_no_meaning(text: str) -> None:
    assert not MODEL.embed([text])[0].any()


@pytest.mark.parametrize("text", KNOWN)
def test_what_is_known_has(text: str) -> None:
    assert abs(float(np.linalg.norm(MODEL.embed([text])[0])) - 1.0) < 1e-3


#: Letters of scripts that the vocabulary has no pieces of.
FOREIGN = st.text(alphabet=st.characters(min_codepoint=0x1200, max_codepoint=0x137C), min_size=3)


@settings(max_examples=40)
@given(FOREIGN, FOREIGN)
def test_two_unknown_texts_are_never_the_same(first: str, second: str) -> None:
    one, other = MODEL.embed([first, second])
    assert float(one @ other) == 0.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SearchEngine]:
    store = SqliteStore(str(tmp_path / "khive.db"))
    texts = [THAI_MEETING, THAI_PASSWORD, "The password of the database is in the safe."]
    added = store.entries.add([NewEntry("memory", "n", "fact", "", text) for text in texts])
    vectors = MODEL.embed(texts).astype("<f2")
    rows = [(one.id, row.tobytes()) for one, row in zip(added, vectors, strict=True)]
    store.vectors.put(MODEL.model_id, rows)
    found = SearchEngine(store, MODEL, Config(), report_damage=lambda _: None)
    yield found
    found.close()
    store.close()


def test_an_unknown_query_is_answered_by_words_and_says_so(engine: SearchEngine) -> None:
    answer = engine.search(AMHARIC, EVERYTHING, limit=5, now=1e9)
    assert answer.hits == []
    assert any("words only" in note for note in answer.notes)


def test_an_unknown_text_is_found_by_its_words(engine: SearchEngine) -> None:
    first = engine.search("ประชุม", EVERYTHING, limit=5, now=1e9).hits[0]
    assert first.entry.content == THAI_MEETING
    assert "meaning" not in first.why


def test_an_unknown_text_is_near_to_no_query(engine: SearchEngine) -> None:
    hits = engine.search("where is the password?", EVERYTHING, limit=5, now=1e9).hits
    assert [hit.entry.content for hit in hits if "meaning" in hit.why] == [
        "The password of the database is in the safe."
    ]
