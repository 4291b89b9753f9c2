"""Whether what is asked as it is written comes first, among names easily taken for each other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.search.name_pairs import KINDS, Pair, pairs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.search.engine import SearchEngine
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, NewEntry

PAIRS, SEED = 300, 20
#: How much is asked for.
LIMIT = 3


def measure(context: Context) -> list[Row]:
    """The row of exact names: pairs in one store, each fact asked for by name and in a question."""
    every = list(pairs(context.times(PAIRS), SEED))
    path = context.work / "names" / "khive.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    wrong, times = _ask(every, path)
    return [
        Row(
            what=f"exact names: {len(every)} pairs of {len(KINDS)} kinds in one store, "
            f"{len(times)} questions",
            target="the fact that has the name as written first for each",
            khive=f"{len(times) - sum(wrong.values())} first, search {Sample(times).show('ms')}",
            peers=(),
            met=not wrong,
            notes=(f"wrong: {dict(wrong)}",) if wrong else (),
        )
    ]


def _ask(every: Sequence[Pair], path: Path) -> tuple[Counter[str], tuple[float, ...]]:
    """How many questions of each kind were answered wrongly, and how long each took (ms)."""
    model, store = MiniLM(threads=2), SqliteStore(str(path))
    facts = [fact for pair in every for fact in pair.facts]
    added = store.entries.add([NewEntry("memory", "names", "fact", "", fact) for fact in facts])
    vectors = model.embed(facts).astype("<f2")
    rows = [(one.id, row.tobytes()) for one, row in zip(added, vectors, strict=True)]
    store.vectors.put(model.model_id, rows)
    engine = SearchEngine(store, model, Config(), report_damage=lambda _: None)
    wrong: Counter[str] = Counter()
    times = []
    for pair in every:
        for fact, questions in zip(pair.facts, pair.questions, strict=True):
            for question in questions:
                answer = engine.search(question, EVERYTHING, limit=LIMIT, now=time.time())
                times.append(answer.milliseconds)
                wrong[pair.kind] += not answer.hits or answer.hits[0].entry.content != fact
    engine.close()
    store.close()
    return +wrong, tuple(times)
