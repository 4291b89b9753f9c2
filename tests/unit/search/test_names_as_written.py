"""What is written in a query as it stands in an entry comes first, whatever the arms think."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search.name_pairs import KINDS, Pair, pairs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.search.engine import SearchEngine
from khive_supervisor.search.exact_names import MOST_ASKED
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry

PAIRS = list(pairs(2 * len(KINDS), seed=7))
NOW = 1_800_000_000.0


def remember(store: SqliteStore, model: MiniLM | None, texts: list[str], namespace: str) -> None:
    added = store.entries.add([NewEntry("memory", namespace, "fact", "", text) for text in texts])
    if model is not None:
        vectors = model.embed(texts).astype(np.float16)
        rows = [(one.id, row.tobytes()) for one, row in zip(added, vectors, strict=True)]
        store.vectors.put(model.model_id, rows)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    store = SqliteStore(str(tmp_path_factory.mktemp("names") / "khive.db"))
    model = MiniLM()
    remember(store, model, [fact for pair in PAIRS for fact in pair.facts], "default")
    found = SearchEngine(store, model, Config(), report_damage=lambda _: None)
    yield found
    found.close()
    store.close()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.questions[0][0])
def test_the_fact_with_the_name_is_first(engine: SearchEngine, pair: Pair) -> None:
    for fact, questions in zip(pair.facts, pair.questions, strict=True):
        for question in questions:
            answer = engine.search(question, EVERYTHING, limit=3, now=NOW)
            assert answer.hits[0].entry.content == fact, question
            assert "as written" in answer.hits[0].why


def test_a_query_without_a_name_is_ranked_by_the_arms_alone(engine: SearchEngine) -> None:
    for hit in engine.search("which vendor did they choose", EVERYTHING, limit=5, now=NOW).hits:
        assert hit.details["written"] == 1.0
        assert "as written" not in hit.why


@pytest.fixture
def by_words(tmp_path: Path) -> Iterator[tuple[SqliteStore, SearchEngine]]:
    store = SqliteStore(str(tmp_path / "khive.db"))
    engine = SearchEngine(store, None, Config(), report_damage=lambda _: None)
    yield store, engine
    engine.close()
    store.close()


def test_a_name_that_neither_arm_lists_is_found(
    by_words: tuple[SqliteStore, SearchEngine],
) -> None:
    store, engine = by_words
    others = [f"db web {number} db, web" for number in range(300)]
    remember(
        store, None, ["Nobody but the job web-to-db writes to the long archive.", *others], "n"
    )
    first = engine.search("web-to-db", EVERYTHING, limit=3, now=NOW).hits[0]
    assert first.entry.content.startswith("Nobody but the job")


def test_a_name_does_not_leave_its_namespace(by_words: tuple[SqliteStore, SearchEngine]) -> None:
    store, engine = by_words
    remember(store, None, ["Ticket OPS-12-40 is secret."], "theirs")
    remember(store, None, ["Ticket OPS-40-12 is ours."], "ours")
    hits = engine.search("OPS-12-40", EntryFilter(namespaces=("ours",)), limit=5, now=NOW).hits
    assert [hit.entry.content for hit in hits] == ["Ticket OPS-40-12 is ours."]


def test_a_name_that_very_many_have_still_orders(
    by_words: tuple[SqliteStore, SearchEngine],
) -> None:
    store, engine = by_words
    many = [f"At 10:30 number {number} rings." for number in range(MOST_ASKED + 20)]
    remember(store, None, ["At 30:10 number none rings.", *many], "n")
    first = engine.search("rings 10:30", EVERYTHING, limit=1, now=NOW).hits[0]
    assert "10:30" in first.entry.content
