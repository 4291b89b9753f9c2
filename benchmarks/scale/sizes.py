"""Searches in projects of different sizes, alone and inside a large store, beside one of 12,000."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.material import Material
from benchmarks.core.report import Row, Sample, say
from benchmarks.core.session import Server, Session
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry

SIZES, BESIDE, INSIDE = (100, 1000, 4000, 8000, 20_000), 12_000, 100_000
#: Times a product over the same rows that the exact step may take, and the rows.
TIMES, EXACT = 3.0, 8000
#: Measured queries of each pair of sessions, and those before them that are not counted.
QUERIES, WARM_UP = 100, 20
#: Milliseconds within which two medians are one: sessions of one kind differ by that much.
EQUAL = 0.3
#: What is asked for: ten results whatever they fit, or those that fit.
ALL: dict[str, object] = {"limit": 10, "floor": 0}
SILENT: dict[str, object] = {"limit": 10}
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Part:
    """A project: the folder that a session is in, and how many entries are about it."""

    folder: Path
    count: int


def measure(context: Context) -> list[Row]:
    """The rows of sizes: each project's session takes turns with that of 12,000 alone.

    Both are new each time and asked what nobody has asked before: sessions and embedders remember
    words, so that whoever is asked the same again answers two milliseconds sooner. All results are
    asked for (`floor` 0): where nothing fits, another search counts what would elsewhere, and that
    has a row of its own.
    """
    material = context.read_corpus(INSIDE)
    asked = iter(material.queries)
    rows, ratio = [], 0.0
    with ExitStack() as stack:
        home = stack.enter_context(_filled(context.work / "base", material, [BESIDE]))
        for size in SIZES:
            with (
                _filled(context.work / "one", material, [size]) as one,
                _session(*one) as session,
                _session(*home) as base,
            ):
                rows.append(_row(f"{size:,} alone", _turns(session, base, asked)))
                ratio = _exact(one[0], material) if size == EXACT else ratio
        sizes = [*SIZES, INSIDE - sum(SIZES)]
        whole, *parts = stack.enter_context(_filled(context.work / "one", material, sizes))
        for part in parts[: len(SIZES)]:
            with _session(whole, part) as session, _session(*home) as base:
                what = f"{part.count:,} inside {INSIDE:,}"
                rows.append(_row(what, _turns(session, base, asked)))
        with _session(whole, part, SILENT) as session, _session(*home, SILENT) as base:
            rows.append(_silent(part, _turns(session, base, asked)))
    return [
        *rows,
        Row(
            what=f"the exact step over {EXACT:,} entries beside a product of their vectors",
            target=f"<= {TIMES:g} times",
            khive=f"{ratio:.1f} times",
            met=ratio <= TIMES,
        ),
    ]


def _row(what: str, taken: tuple[Sample, Sample]) -> Row:
    ours, base = taken
    return Row(
        what=f"recall in a session, a project of {what}",
        target=f"p50 not above that of {BESIDE:,} alone",
        khive=f"{ours.show('ms', 50, 99)}; {BESIDE:,} alone: {base.show('ms', 50, 99)}",
        met=ours.p50 <= base.p50 + EQUAL,
        data={"project": ours.as_dict(), "beside": base.as_dict()},
    )


def _silent(part: _Part, taken: tuple[Sample, Sample]) -> Row:
    ours, base = taken
    return Row(
        what=f"the same, {part.count:,} inside {INSIDE:,}, silent where nothing fits",
        target="measured",
        khive=f"{ours.show('ms', 50, 99)}; {BESIDE:,} alone: {base.show('ms', 50, 99)}",
        data={"project": ours.as_dict(), "beside": base.as_dict()},
    )


def _turns(session: Session, base: Session, asked: Iterator[str]) -> tuple[Sample, Sample]:
    """Ask both sessions the same, each first every other time."""
    taken: tuple[list[float], list[float]] = ([], [])
    pair = (session, base)
    for number, query in enumerate(itertools.islice(asked, QUERIES + WARM_UP)):
        for which in (number % 2, 1 - number % 2):
            taken[which].append(pair[which].search(query)[0])
    ours, theirs = (Sample(tuple(one[WARM_UP:])) for one in taken)
    return ours, theirs


def _exact(khive: Installation, material: Material) -> float:
    """How many times as long the exact step takes as a product over the same vectors."""
    matrix = material.vectors[:EXACT].astype(np.float32)
    with SqliteStore(str(khive.store)) as store:
        index = VectorIndex(store, model_files().model_id, matrix.shape[1])
        scope = index.scope(EntryFilter(collection="memory", namespaces=("default",)))
        assert scope.few is not None
        assert len(scope.few) == EXACT
        step = [_timed(lambda v=v: index.search_in(scope, v, 50)) for v in matrix[:100]]
        plain = [_timed(lambda v=v: matrix @ v) for v in matrix[:100]]
        index.close()
    return Sample(tuple(step)).p50 / Sample(tuple(plain)).p50


def _timed(call: object) -> float:
    began = time.process_time()  # a product may take several threads
    assert callable(call)
    call()
    return (time.process_time() - began) * 1000


@contextmanager
def _session(
    khive: Installation, part: _Part, arguments: dict[str, object] = ALL
) -> Iterator[Session]:
    server = khive.attach()
    inside = Server(
        f"khive in {part.count}", server.command, server.environment, part.folder,
        "memory_recall", arguments,
    )  # fmt: skip
    with Session(inside) as session:
        session.initialize()
        yield session


@contextmanager
def _filled(work: Path, material: Material, sizes: Sequence[int]) -> Iterator[list]:
    """An installation with a store of projects of these sizes; and the projects."""
    work.mkdir(parents=True, exist_ok=True)
    with installed(work) as khive:
        khive.store.parent.mkdir(parents=True, mode=0o700)
        parts = [_Part(khive.home / f"p{at}", size) for at, size in enumerate(sizes)]
        _fill(khive.store, material, parts)
        khive.start()
        khive.settle()
        yield [khive, *parts]
    shutil.rmtree(work, ignore_errors=True)


def _fill(path: Path, material: Material, parts: Sequence[_Part]) -> None:
    say(f"storing {sum(one.count for one in parts):,} entries")
    model = model_files()
    rows = iter(zip(material.texts, material.vectors, strict=True))
    with SqliteStore(str(path), secrets="off") as store:
        for part in parts:
            part.folder.mkdir()
            mark = f"folder:{os.path.realpath(part.folder)}"
            project = store.projects.ensure(ProjectIdentity(part.folder.name, mark, mark))
            for _ in range(0, part.count, _BATCH):
                some = list(itertools.islice(rows, min(_BATCH, part.count)))
                entries = [
                    NewEntry("memory", "default", "semantic", t.title, t.content, project=project)
                    for t, _ in some
                ]
                store.entries.add(
                    entries, [v.astype("<f2").tobytes() for _, v in some], model.model_id
                )
    if sum(one.count for one in parts) >= _BATCH:
        subprocess.run(
            [
                *(sys.executable, "-P", "-m", "khive_workers.index_builder", "--store", str(path)),
                *("--model-id", model.model_id, "--dimensions", str(model.dimensions)),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
