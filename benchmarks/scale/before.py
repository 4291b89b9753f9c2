"""A search in a session beside the same one of another release, query by query."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.prepare import Prepared, prepare
from benchmarks.core.report import Row, Sample, say
from benchmarks.core.session import Session

ENTRIES, QUICK = 100_000, 5000
#: Milliseconds that a search may take more than before.
MORE = 1.5
QUERIES, WARM_UP = 500, 30

#: What the other checkout runs to make its own store: another schema, another index.
_PREPARE = """
import json, sys
from pathlib import Path
from benchmarks.core.material import read_texts, read_vectors
from benchmarks.core.prepare import prepare
corpus, work, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
texts = read_texts(corpus, limit)
made = prepare(texts, read_vectors(corpus, texts, work), work)
print(json.dumps([str(made.store), str(made.index), made.model_id]))
"""


def measure(context: Context) -> list[Row]:
    """The row of search beside the release in `--before`, which is a checkout with its `.venv`."""
    if context.before is None:
        sys.exit("This is measured beside another release: name its checkout with --before.")
    limit = QUICK if context.quick else ENTRIES
    material = context.read_corpus(limit)
    ours = prepare(material.texts, material.vectors, context.work)
    theirs = _theirs(context, limit)
    command = context.before / ".venv/bin/khive-supervisor"
    works = [context.work / name for name in ("now", "before")]
    for work in works:
        work.mkdir(exist_ok=True)
    asked = material.queries[: WARM_UP + context.times(QUERIES)]
    with installed(works[0], ours) as now, installed(works[1], theirs, str(command)) as before:
        for one in (now, before):
            one.start()
            one.settle()
        with Session(now.attach()) as first, Session(before.attach()) as second:
            pair = (first, second)
            for one in pair:
                one.initialize()
            taken: tuple[list[float], list[float]] = ([], [])
            for number, query in enumerate(asked):
                for which in (number % 2, 1 - number % 2):
                    taken[which].append(pair[which].search(query)[0])
    count = len(material.texts)
    mine, other = (Sample(tuple(one[WARM_UP:])) for one in taken)
    more = mine.p50 - other.p50
    return [
        Row(
            what=f"hybrid search of {count:,} entries in a session, beside {context.before.name}",
            target=f"p50 at most {MORE} ms more",
            khive=f"{mine.show('ms', 50, 99)}; before: {other.show('ms', 50, 99)}; {more:+.2f} ms",
            met=more <= MORE,
            notes=("Each query is asked of both, of each first every other time.",),
            data={"now": mine.as_dict(), "before": other.as_dict()},
        )
    ]


def _theirs(context: Context, limit: int) -> Prepared:
    """Have the other release make its store of the same texts."""
    assert context.before is not None
    assert context.corpus is not None
    say(f"{context.before.name} makes its store")
    work = context.work / "theirs"
    work.mkdir(exist_ok=True)
    words = (context.before / ".venv/bin/python", "-c", _PREPARE, context.corpus, work, limit)
    environment = {**os.environ, "PYTHONPATH": str(context.before)}
    done = subprocess.run(
        [*map(str, words)], cwd=context.before, check=True, stdout=subprocess.PIPE, env=environment
    )
    store, index, model = json.loads(done.stdout.splitlines()[-1])
    return Prepared(Path(store), Path(index), model, [])
