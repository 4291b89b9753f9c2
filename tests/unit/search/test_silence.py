"""Nothing relevant is an answer: what does not fit is left out, and what fits is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.search.engine import SearchEngine
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry

MODEL = MiniLM()
NOW = 1_800_000_000.0
OURS = EntryFilter(collection="memory", namespaces=("ours",))
FACTS = (
    "The web server listens on port 8443.",
    "Migrations are reviewed by Carla before they are merged.",
    "The nightly backup is written to the bucket acme-backups.",
    "Ticket OPS-12-40: rotate the certificates of the gateway.",
    "We never deploy on Fridays.",
    "Tests run with pytest, two workers at most.",
)
RELATED = (
    ("on which port is the web server", 0),
    ("who reviews migrations", 1),
    ("where do backups go", 2),
    ("OPS-12-40", 3),
    ("what is ticket OPS-12-40 about?", 3),
    ("may I deploy on a Friday?", 4),
    ("how do we run the tests", 5),
)
UNRELATED = (
    "a recipe for sourdough bread", "the capital of Peru", "symptoms of a cold", "continue",
    "yes please", "thanks, looks good", "go on", "translate good morning into French",
    "how tall is the Eiffel tower", "lattice quantum chromodynamics",
)  # fmt: skip

Make = Callable[..., SearchEngine]


class Foreign:
    """Another model, whose cosines say other things."""

    model_id = "foreign"
    dimensions = MODEL.dimensions

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return MODEL.embed(texts)

    def close(self) -> None:
        """Have nothing to let go of."""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """An engine on a store of the facts, and others in a namespace of their own."""
    store = SqliteStore(str(tmp_path / "khive.db"))
    engines = []

    def made(
        embedder: MiniLM | Foreign | None = MODEL,
        facts: Sequence[str] = FACTS,
        theirs: Sequence[str] = (),
        floor: float = 0.5,
    ) -> SearchEngine:
        new = [NewEntry("memory", "ours", "semantic", "", text) for text in facts]
        new += [NewEntry("memory", "theirs", "semantic", "", text) for text in theirs]
        added = store.entries.add(new)
        if embedder is not None:
            vectors = embedder.embed([*facts, *theirs]).astype("<f2")
            rows = [(one.id, row.tobytes()) for one, row in zip(added, vectors, strict=True)]
            store.vectors.put(embedder.model_id, rows)
        config = Config()
        config = replace(config, search=replace(config.search, floor=floor))
        engines.append(SearchEngine(store, embedder, config, report_damage=lambda _: None))
        return engines[-1]

    yield made
    for engine in engines:
        engine.close()
    store.close()


def first(engine: SearchEngine, query: str, **given: float) -> str | None:
    hits = engine.search(query, OURS, limit=5, now=NOW, **given).hits
    return hits[0].entry.content if hits else None


@pytest.mark.parametrize("embedder", [MODEL, None], ids=["meaning", "words"])
def test_what_nobody_can_answer_is_met_with_silence(make: Make, embedder: MiniLM | None) -> None:
    engine = make(embedder)
    assert {query: first(engine, query) for query in UNRELATED} == dict.fromkeys(UNRELATED)


def test_what_is_known_is_answered(make: Make) -> None:
    engine = make()
    assert {query: first(engine, query) for query, _ in RELATED} == {
        query: FACTS[number] for query, number in RELATED
    }


def test_what_stands_beside_an_answer_is_not_one(make: Make) -> None:
    engine = make()
    for query, number in RELATED:
        hits = engine.search(query, OURS, limit=10, now=NOW).hits
        assert [hit.entry.content for hit in hits] == [FACTS[number]], query


@pytest.mark.parametrize("embedder", [MODEL, None], ids=["meaning", "words"])
@pytest.mark.parametrize("word", ["wait", "continue", "yes", "undo-that", "help-me"])
def test_a_name_that_is_made_of_small_talk_is_a_name(
    make: Make, embedder: MiniLM | None, word: str
) -> None:
    facts = (*FACTS, f"Pass --{word} to the runner.", f"Pass --no-{word} to the worker.")
    engine = make(embedder, facts=facts)
    assert first(engine, f"--{word}") == facts[-2]
    assert first(engine, f"--no-{word}") == facts[-1]
    assert first(engine, "yes please") is None
    assert first(engine, word) is None or "-" in word


def test_by_words_alone_an_entry_with_the_words_is_shown(make: Make) -> None:
    engine = make(None)
    assert first(engine, "on which port does the web server listen") == FACTS[0]
    assert first(engine, "OPS-12-40") == FACTS[3]


def test_a_floor_of_nothing_shows_what_came_nearest(make: Make) -> None:
    engine = make()
    silent = engine.search(UNRELATED[0], OURS, limit=5, now=NOW)
    assert (silent.hits, len(silent.missed)) == ([], 5)
    loud = engine.search(UNRELATED[0], OURS, limit=5, now=NOW, floor=0.0)
    assert [hit.score for hit in loud.hits] == [one.fit for one in silent.missed]
    assert loud.missed == []


def test_the_floor_is_configured(make: Make) -> None:
    assert first(make(floor=0.0), UNRELATED[0]) is not None


def test_the_order_is_that_of_the_ranking(make: Make) -> None:
    hits = make().search("web server port backup", OURS, limit=6, now=NOW, floor=0.0).hits
    ranks = [hit.details["rank_score"] for hit in hits]
    assert ranks == sorted(ranks, key=lambda score: -float(str(score)))


def test_another_namespace_moves_no_score(make: Make, tmp_path: Path) -> None:
    alone = make().search("who reviews migrations", OURS, limit=5, now=NOW).hits
    theirs = [f"Migrations of the web server {number}" for number in range(30)]
    beside = make(facts=(), theirs=theirs).search("who reviews migrations", OURS, limit=5, now=NOW)
    assert [hit.score for hit in beside.hits] == pytest.approx([hit.score for hit in alone])


def test_of_a_foreign_model_nothing_is_left_out(make: Make) -> None:
    assert first(make(Foreign()), UNRELATED[0]) is not None


def test_an_entry_without_a_vector_is_judged_by_its_words(make: Make) -> None:
    engine = make()
    make(None, facts=("The kiosk printer is a Zebra ZD421.",))
    assert first(engine, "which printer is in the kiosk") == "The kiosk printer is a Zebra ZD421."


def test_an_empty_query_fits_nothing(make: Make) -> None:
    assert make().search(" ", EVERYTHING, limit=5, now=NOW).hits == []


def test_an_empty_store_has_nothing_to_show(make: Make) -> None:
    found = make(facts=()).search("web server", OURS, limit=5, now=NOW)
    assert (found.hits, list(found.missed)) == ([], [])
