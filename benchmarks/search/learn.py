"""How fast documents are learned, and how soon another session finds what one has stored."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, as_json, installed
from benchmarks.core.material import by_meaning_alone
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import opened
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.embed.names import embedder_socket

#: The share of the embedder's own speed that learning must reach.
SHARE = 0.8
TEXTS = 4000
#: Texts of one request to the embedder, and conversations at once.
REQUEST, PARALLEL = 64, 2
#: What is stored in one session and asked for in another.
TRIES = 100


def measure(context: Context) -> list[Row]:
    """The row of learning."""
    found = context.material.documents or [text.whole for text in context.material.texts]
    texts = found[: context.times(TEXTS)]
    base = context.prepared if context.material.documents else None
    with installed(context.work, base) as khive:
        khive.start()
        khive.settle()
        alone = _through_the_process(khive, texts)
    with installed(context.work, base) as khive:
        khive.start()
        khive.settle()
        learned = _learned(khive, texts)
    cores = len(os.sched_getaffinity(0))
    library = _library(texts, cores)
    entries = len(context.material.texts) if base else 0
    return [
        Row(
            what=f"`learn`, texts a second on {cores} cores",
            target=f">= {SHARE:.0%} of the embedder alone",
            khive=f"{learned:.0f}/s = {learned / alone:.0%} of the embedder alone (n {len(texts)})",
            peers=(
                f"the embedder process alone: {alone:.0f}/s",
                f"the model alone, {cores} threads: {library:.0f}/s",
            ),
            met=learned / alone >= SHARE,
            notes=(
                (
                    f"The whole command, its start included, into a store of {entries} entries; "
                    f"{sum(len(t.split()) for t in texts) / len(texts):.0f} words a text. The "
                    f"embedder is asked by {PARALLEL} clients, {REQUEST} texts at a time."
                ),
            ),
            data={"learn": learned, "embedder": alone, "library": library, "n": len(texts)},
        )
    ]


def _through_the_process(khive: Installation, texts: list[str]) -> float:
    """Texts a second that the embedder process answers when nothing else is done."""
    model = MiniLM()
    parts = [texts[start : start + REQUEST] for start in range(0, len(texts), REQUEST)]
    path = embedder_socket(khive.socket)
    client = EmbedderClient(path, model.model_id, model.dimensions, deadline=60)
    client.embed(["warm up"])
    began = time.perf_counter()
    with ThreadPoolExecutor(PARALLEL) as pool:
        for vectors in pool.map(client.embed, parts):
            assert len(vectors)
    seconds = time.perf_counter() - began
    client.close()
    return len(texts) / seconds


def _library(texts: list[str], threads: int) -> float:
    """Texts a second of the model in this process, on all cores."""
    model = MiniLM(threads)
    model.embed(texts[:10])
    began = time.perf_counter()
    model.embed(texts)
    return len(texts) / (time.perf_counter() - began)


def _learned(khive: Installation, texts: list[str]) -> float:
    """Texts a second of `khive-supervisor learn FILE`."""
    file = khive.home / "texts.jsonl"
    _write(file, texts)
    began = time.perf_counter()
    done = as_json(khive.run("learn", str(file), "--json"))
    seconds = time.perf_counter() - began
    if done["stored"] != len(texts):
        raise RuntimeError(f"{len(texts)} texts were to be learned, and these were: {done}")
    return len(texts) / seconds


def _write(file: Path, texts: list[str]) -> None:
    lines = "".join(json.dumps({"content": text}) + "\n" for text in texts)
    file.write_text(lines, encoding="utf-8")


# --- another session ----------------------------------------------------------------------------


def measure_freshness(context: Context) -> list[Row]:
    """The row of what is found at once."""
    tries = context.times(TRIES)
    pairs = by_meaning_alone(context.material.pairs, tries, MiniLM())
    found, by_vector, times = 0, 0, []
    with installed(context.work, context.prepared) as khive:
        khive.start()
        khive.settle()
        with opened(khive.attach(), 2) as (writer, reader):
            for pair in pairs:
                stored = writer.call("memory_remember", content=pair.document)
                began = time.perf_counter()
                answer = reader.call("memory_recall", query=pair.question, explain=True)
                times.append((time.perf_counter() - began) * 1000)
                result = next((r for r in answer["results"] if r["id"] == stored["id"]), None)
                found += result is not None
                by_vector += result is not None and _by_meaning(result["ranking"])
    return [
        Row(
            what="stored in one session, found by meaning in another by its next call",
            target="all, at once",
            khive=f"{found} of {len(pairs)} found, {by_vector} by their vectors",
            met=found == by_vector == len(pairs),
            notes=(
                (
                    "Questions in other words than the document's, chosen by exact cosines among "
                    f"the pairs; the answer came in {Sample(tuple(times)).show('ms', 50, 99)}. "
                    f"{len(context.material.texts)} other entries are in the store."
                ),
            ),
            data={"tries": len(pairs), "found": found, "by_vector": by_vector},
        )
    ]


def _by_meaning(ranking: dict[str, Any]) -> bool:
    """Whether the vectors' arm found it."""
    return ranking.get("meaning_rank") is not None
