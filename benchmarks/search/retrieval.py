"""How good is what is found: full text, vectors and both fused, as nDCG@10 in percent.

    scripts/bench_quality --retrieval FILE [FILE ...] [--sessions DIR] [--commits REPOSITORY ...]
        [--cache DIR]

A retrieval file is JSON, or JSON in gzip: {name: [{"ids": [...], "docs": [...], "queries":
[{"id", "text", "rel": {document id: grade}}]}]}. Several stores of one name are one set, each
searched by itself. The sessions directory has tasks.jsonl: id, repo, problem, files a line. Commits
of a repository are taken for such tasks, too: the message is the problem.

The text goes through a real store, the real choice of words, the bundled model and the real
fusion; vectors are compared exactly, so what an approximate index loses is not in these numbers.
The intervals are of a paired bootstrap over queries: fused minus the better arm.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.commit_tasks import stores_of
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.index.inverted.collect import collect
from khive_supervisor.index.inverted.postings_file import PostingsFile, write
from khive_supervisor.index.inverted.scope import PostingsView, Scope
from khive_supervisor.redaction.gate import Mode
from khive_supervisor.search import fusion, ranking
from khive_supervisor.search.engine import embedded_part
from khive_supervisor.search.exact_names import prefer_written
from khive_supervisor.search.full_text import LexicalSearch
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry
from khive_supervisor.store.vectors import Generation
from khive_supervisor.text.analysis import read_query

#: Candidates of each arm; the default of search.candidates.
DEPTH = 100
CUT = 10
RESAMPLES = 2000
#: Paths that are stored of a session.
MOST_PATHS = 8
#: Days that ages are drawn from, and the decay of facts that are meant to last.
OLDEST, DECAY = 180.0, 0.005

Scored = list[tuple[int, float]]


class Vectors:
    """The bundled model, with its answers kept below a directory if there is one."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._model: MiniLM | None = None

    def of(self, texts: Sequence[str]) -> Any:
        """The texts' vectors as the store keeps them: float16, given back as float32."""
        joined = "\0".join(texts).encode("utf-8", "surrogatepass")
        name = f"{hashlib.sha256(joined).hexdigest()[:32]}.npy"
        if self._cache is not None and (self._cache / name).exists():
            return np.load(self._cache / name).astype(np.float32)
        self._model = self._model or MiniLM(threads=2)
        found = self._model.embed(texts).astype(np.float16)
        if self._cache is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            np.save(self._cache / name, found)
        return found.astype(np.float32)


class Memory:
    """A store of texts and their vectors, searched as the engine does; ids are positions."""

    def __init__(self, directory: str) -> None:
        self.store = SqliteStore(str(Path(directory) / "khive.db"), secrets=Mode.OFF)
        self._entries: dict[int, list[int]] = {}
        self._added: list[int] = []
        self._vectors = np.zeros((0, 384), np.float32)
        self._namespaces: list[str] = []
        self._search = LexicalSearch(self.store)
        self._view: PostingsView | None = None
        self._masks: dict[EntryFilter, Any] = {}

    def add(self, texts: Sequence[str], vectors: Any, namespace: str = "bench") -> None:
        """Remember texts; an exact duplicate shares the entry of the first."""
        new = [NewEntry("memory", namespace, "note", "", text or " ") for text in texts]
        for position, added in enumerate(self.store.entries.add(new), len(self._vectors)):
            self._entries.setdefault(added.id, []).append(position)
            self._added.append(added.id)
        self._vectors = np.concatenate([self._vectors, vectors])
        self._namespaces += [namespace] * len(texts)
        self._view = None
        self._masks = {}

    def words(self, query: str, namespace: str | None) -> tuple[Scored, float]:
        """The full-text arm, and the share of names in the query."""
        where = EntryFilter(namespaces=(namespace,)) if namespace else EVERYTHING
        if self._view is None:
            self._view = self._postings_view()
        if where not in self._masks:
            self._masks[where] = None if where.empty else self._view.mask(where)
        scope = Scope(self.store, where, None, self._view, self._masks[where])
        words = self._search.search(read_query(query), scope, DEPTH)
        found = [(p, s) for entry, s in words.found for p in self._entries[entry]]
        return found, words.selection.names

    def written(
        self, query: str, both: Sequence[fusion.Fused], namespace: str | None
    ) -> list[fusion.Fused]:
        """What the fused order becomes by the names that the query has as they are written."""
        where = EntryFilter(namespaces=(namespace,)) if namespace else EVERYTHING
        scope = Scope(self.store, where, None, self._view)
        by_entry = [one._replace(id=self._added[one.id]) for one in both]
        unique = list({one.id: one for one in reversed(by_entry)}.values())[::-1]
        found = prefer_written(query, read_query(query), unique, self.store, scope)
        return [one._replace(id=self._entries[one.id][0]) for one in found.fused]

    def _postings_view(self) -> PostingsView:
        """The words' file of all that was added; of no generation, since there are no trees."""
        path = str(Path(self.store.path).with_name("words"))
        owner = Generation(1, "", "", "00" * 32, "", 0, 0, "", 0, 0, 0, 0, False, 0.0)
        about, arrays = collect(self.store)
        write(path, owner, about, arrays)
        return PostingsView.of(PostingsFile(path, owner), self.store.postings.fates(about.fate))

    def meaning(self, vector: Any, namespace: str | None) -> Scored:
        """The vector arm, exactly."""
        cosines = self._vectors @ vector
        if namespace is not None:
            cosines = np.where(np.array(self._namespaces) == namespace, cosines, -2.0)
        best = np.argsort(-cosines, kind="stable")[:DEPTH]
        return [(int(i), float(cosines[i])) for i in best if cosines[i] >= -1.0]

    def vectors(self, positions: Sequence[int]) -> tuple[Any, Any]:
        """The vectors of texts."""
        return np.array(positions, np.int64), self._vectors[list(positions)]

    def entry(self, position: int) -> int:
        """The id of a text's entry in the store."""
        return self._added[position]

    def close(self) -> None:
        """Let go of the file."""
        self.store.close()


@dataclass(frozen=True, slots=True)
class Found:
    """One query's three orders, best first, and what is relevant to it."""

    words: list[int]
    meaning: list[int]
    fused: list[int]
    relevant: dict[int, float]
    both: list[fusion.Fused]


def searched(
    memory: Memory,
    query: str,
    vector: Any,
    relevant: dict[int, float],
    namespace: str | None = None,
) -> Found:
    """Ask both arms and fuse them."""
    words, names = memory.words(query, namespace)
    meaning = memory.meaning(vector, namespace)
    fused = fusion.supported(fusion.fuse(words, meaning, names), memory.vectors)
    both = memory.written(query, fused, namespace)
    return Found([i for i, _ in words], [i for i, _ in meaning], [f.id for f in both],
                 relevant, both)  # fmt: skip


def ndcg(order: Sequence[int], relevant: dict[int, float]) -> float:
    """Normalised discounted cumulative gain at ten, linear gains."""
    gained = sum(relevant.get(i, 0) / math.log2(at + 2) for at, i in enumerate(order[:CUT]))
    grades = sorted(relevant.values(), reverse=True)[:CUT]
    ideal = sum(grade / math.log2(at + 2) for at, grade in enumerate(grades))
    return gained / ideal if ideal else 0.0


def queries_of(stores: Sequence[dict[str, Any]], vectors: Vectors) -> Iterator[Found]:
    """Every query of a set, searched in its own store."""
    for given in stores:
        with tempfile.TemporaryDirectory() as directory:
            memory = Memory(directory)
            memory.add(given["docs"], vectors.of(given["docs"]))
            position = {name: at for at, name in enumerate(given["ids"])}
            asked = vectors.of([embedded_part(query["text"]) for query in given["queries"]])
            for query, vector in zip(given["queries"], asked, strict=True):
                relevant = {position[k]: v for k, v in query["rel"].items() if k in position}
                yield searched(memory, query["text"], vector, relevant)
            memory.close()


def shuffled_ages(found: Found, seed: int) -> float:
    """nDCG when saliences and ages say nothing about relevance: what the lift costs at worst."""
    draw = random.Random(seed)
    ages = {f.id: ranking.Age(draw.random(), DECAY, draw.uniform(0, OLDEST)) for f in found.both}
    return ndcg([r.fused.id for r in ranking.rank(found.both, ages.get)], found.relevant)


def interval(differences: Any) -> tuple[float, float]:
    """The 95 % interval of the mean, by bootstrap over queries, in points."""
    random_rows = np.random.default_rng(1).integers(
        0, len(differences), (RESAMPLES, len(differences))
    )
    low, high = np.percentile(differences[random_rows].mean(axis=1), [2.5, 97.5])
    return 100 * float(low), 100 * float(high)


@dataclass(frozen=True, slots=True)
class SetQuality:
    """nDCG@10 of one set in points, and what the fusion gains over the better arm."""

    name: str
    queries: int
    words: float
    meaning: float
    fused: float
    gain: float
    low: float
    high: float
    lifted: float


def measure_sets(files: Iterable[Path], vectors: Vectors) -> Iterator[SetQuality]:
    """Every set of the files."""
    for file in files:
        raw = file.read_bytes()
        sets = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
        for name, stores in sets.items():
            yield set_quality(name, list(queries_of(stores, vectors)))


def set_quality(name: str, rows: Sequence[Found]) -> SetQuality:
    words, meaning, fused = (
        np.array([ndcg(getattr(row, arm), row.relevant) for row in rows])
        for arm in ("words", "meaning", "fused")
    )
    better = words if words.mean() >= meaning.mean() else meaning
    low, high = interval(fused - better)
    return SetQuality(
        name=name,
        queries=len(rows),
        words=100 * float(words.mean()),
        meaning=100 * float(meaning.mean()),
        fused=100 * float(fused.mean()),
        gain=100 * float((fused - better).mean()),
        low=low,
        high=high,
        lifted=100 * float(np.mean([shuffled_ages(row, at) for at, row in enumerate(rows)])),
    )


def show_sets(files: Iterable[Path], vectors: Vectors) -> None:
    """The table of sets."""
    print(f"{'set':18}{'queries':>8}{'BM25':>7}{'vectors':>9}{'fused':>7}"
          f"{'gain':>7}{'95 % of the gain':>18}{'lifted':>8}")  # fmt: skip
    gains = []
    for q in measure_sets(files, vectors):
        gains.append(q.gain)
        print(f"{q.name:18}{q.queries:8}{q.words:7.1f}{q.meaning:9.1f}{q.fused:7.1f}{q.gain:+7.1f}"
              f"{f'[{q.low:+.1f}, {q.high:+.1f}]':>18}{q.lifted:8.1f}", flush=True)  # fmt: skip
    print(f"mean gain {np.mean(gains):+.2f}, smallest {min(gains):+.2f}, of {len(gains)} sets")


def source_files(task: dict[str, Any]) -> set[str]:
    return {file for file in task["files"] if "test" not in file}


def left_by(task: dict[str, Any]) -> str:
    """Return what a session leaves: what it was about, and the paths that it touched."""
    return f"{task['problem']}\nedited: {', '.join(task['files'][:MOST_PATHS])}"


def measure_sessions(
    directory: Path, vectors: Vectors, *, within: bool
) -> tuple[int, dict[str, tuple[float, float]]]:
    """Earlier tasks that touched the same source file, asked for by the problem's text.

    How many queries have an answer, and hit@10 and MRR of each arm and of both fused.
    """
    lines = (directory / "tasks.jsonl").read_text("utf-8").splitlines()
    tasks = sorted((json.loads(line) for line in lines), key=lambda task: str(task["id"]))
    embedded = vectors.of([left_by(task) for task in tasks])
    asked = vectors.of([embedded_part(task["problem"]) for task in tasks])
    rows = list(earlier_tasks(tasks, embedded, asked, within=within))
    return len(rows), _hits(rows)


def _hits(rows: Sequence[Found]) -> dict[str, tuple[float, float]]:
    """Return hit@10 and MRR of each arm and of both fused."""
    found = {}
    for arm in ("words", "meaning", "fused"):
        places = [first_hit(getattr(row, arm), row.relevant) for row in rows]
        hits = np.mean([place is not None and place <= CUT for place in places])
        found[arm] = (float(hits), float(np.mean([1 / p if p else 0.0 for p in places])))
    return found


def show_commits(repository: Path, vectors: Vectors) -> None:
    """The numbers of a repository's commits: earlier ones that touched the same source file."""
    rows: list[Found] = []
    for tasks in stores_of(repository):
        embedded = vectors.of([left_by(task) for task in tasks])
        asked = vectors.of([embedded_part(task["problem"]) for task in tasks])
        rows += earlier_tasks(tasks, embedded, asked, within=True)
    print(f"\ncommits of {repository}: {len(rows)} queries with an answer")
    for arm, (hits, reciprocal) in _hits(rows).items():
        gained = np.mean([ndcg(getattr(row, arm), row.relevant) for row in rows])
        print(f"  {arm:8} nDCG@10 {100 * gained:.1f}  hit@10 {hits:.3f}  MRR {reciprocal:.3f}")


def show_sessions(directory: Path, vectors: Vectors) -> None:
    """The numbers of agents' sessions."""
    for label, within in (("within the repo", True), ("over all repos", False)):
        count, found = measure_sessions(directory, vectors, within=within)
        print(f"\nagent sessions {label}: {count} queries with an answer")
        for arm, (hits, reciprocal) in found.items():
            print(f"  {arm:8} hit@10 {hits:.3f}  MRR {reciprocal:.3f}")


def earlier_tasks(
    tasks: Sequence[dict[str, Any]], embedded: Any, asked: Any, *, within: bool
) -> Iterator[Found]:
    """Remember task after task, a namespace a repo; before each, ask for the like of it."""
    with tempfile.TemporaryDirectory() as directory:
        memory = Memory(directory)
        for at, task in enumerate(tasks):
            relevant = {
                before: 1.0
                for before, other in enumerate(tasks[:at])
                if other["repo"] == task["repo"] and source_files(other) & source_files(task)
            }
            repo = task["repo"] if within else None
            if relevant:
                yield searched(memory, task["problem"], asked[at], relevant, repo)
            memory.add([left_by(task)], embedded[at : at + 1], task["repo"])
        memory.close()


def first_hit(order: Sequence[int], relevant: dict[int, float]) -> int | None:
    return next((place for place, i in enumerate(order, 1) if i in relevant), None)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retrieval", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--sessions", type=Path, metavar="DIR")
    parser.add_argument("--commits", type=Path, nargs="+", default=[], metavar="REPOSITORY")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep embeddings here")
    given = parser.parse_args()
    if not (given.retrieval or given.commits or given.sessions):
        parser.error("nothing to measure: give --retrieval, --sessions or --commits")
    vectors = Vectors(given.cache)
    if given.retrieval:
        show_sets(given.retrieval, vectors)
    if given.sessions is not None:
        show_sessions(given.sessions, vectors)
    for repository in given.commits:
        show_commits(repository, vectors)


if __name__ == "__main__":
    main()
