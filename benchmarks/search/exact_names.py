"""Whether what is asked as it is written comes first, among names easily taken for each other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.search.name_pairs import KINDS, Pair, pairs
from khive_supervisor.config.load import from_dict
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context as VerbContext
from khive_supervisor.verbs.context import SessionInfo

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
    """How many questions of each kind were answered wrongly, and how long each took (ms).

    Asked as agents ask: what orders the answer after the search counts as well.
    """
    config, model = from_dict({"store": {"path": str(path)}}), MiniLM(threads=2)
    session = SessionInfo(id="names", actor="names")
    context = VerbContext(config, session, socket_path=None, make_embedder=lambda: model)
    registry = loading.load()
    for pair in every:
        for fact in pair.facts:
            registry.call(context, "memory.remember", {"content": fact})
    wrong: Counter[str] = Counter()
    times = []
    for pair in every:
        for fact, questions in zip(pair.facts, pair.questions, strict=True):
            for question in questions:
                began = time.perf_counter()
                asked = {"query": question, "limit": LIMIT}
                found = registry.call(context, "memory.recall", asked)["results"]
                times.append((time.perf_counter() - began) * 1000)
                wrong[pair.kind] += not found or found[0]["content"] != fact
    context.close()
    return +wrong, tuple(times)
