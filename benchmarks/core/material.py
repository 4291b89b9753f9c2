"""The real texts and queries that everything is measured with; nothing of them is committed."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.core.report import say
from khive_supervisor.embed.minilm import MiniLM
from khive_supervisor.text import analysis as text

#: Words of a short query at most, and words of a pasted text exactly.
SHORT_WORDS, PASTED_WORDS = 8, 300
#: Sets of the retrieval file whose queries are what people type; others are whole paragraphs.
TYPED = ("cosqa", "tldr")
#: The same choice of queries in every run.
SEED = 20

Vectors = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the corpus."""

    title: str
    content: str

    @property
    def whole(self) -> str:
        """What is embedded."""
        return f"{self.title}\n{self.content}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A document, and a question in other words that it answers."""

    question: str
    document: str


@dataclass(frozen=True, slots=True)
class Material:
    """Everything, chosen: `queries` are distinct and short, `pasted` are 300 words each."""

    texts: list[Text]
    vectors: Vectors
    queries: list[str]
    pasted: list[str]
    pairs: list[Pair]
    documents: list[str]
    sources: tuple[str, ...]


def gather(
    corpus: Path, retrieval: Path | None, sessions: Path | None, scratch: Path, limit: int
) -> Material:
    """Read the files; what is not given is taken from the corpus itself."""
    texts = read_texts(corpus, limit)
    sets = _read_sets(retrieval) if retrieval else {}
    typed = [name for name in TYPED if name in sets]
    queries = [q["text"] for name in typed for q in sets[name]["queries"]]
    pairs = [pair for name in typed for pair in _pairs(sets[name])]
    documents = [document for name in typed for document in sets[name]["docs"]]
    return Material(
        texts=texts,
        vectors=read_vectors(corpus, texts, scratch),
        queries=_short(queries) or _short(map(_first_sentence, texts)),
        pasted=_pasted(sessions, texts),
        pairs=pairs or [Pair(t.title, t.content) for t in texts],
        documents=_shuffled(dict.fromkeys(d for d in documents if d.strip())),
        sources=(
            f"queries: {', '.join(typed)}" if typed else "queries: first sentences of the corpus",
            "pasted: texts and outputs of agents' sessions" if sessions else "pasted: the corpus",
        ),
    )


# --- the corpus ---------------------------------------------------------------------------------


def read_texts(corpus: Path, limit: int) -> list[Text]:
    """The first texts of `texts.jsonl`."""
    texts: list[Text] = []
    with (corpus / "texts.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            if len(texts) == limit:
                break
            item = json.loads(line)
            texts.append(Text(item["title"], item["content"]))
    return texts


def read_vectors(corpus: Path, texts: Sequence[Text], scratch: Path) -> Vectors:
    """The texts' vectors: from `vectors.npy` beside them, or computed once and kept in scratch."""
    digest = blake2b(digest_size=8)
    for entry in texts:
        digest.update(entry.whole.encode("utf-8", "surrogatepass"))
    # Named for what they are vectors of: another corpus of the same size must not get them.
    for file in (corpus / "vectors.npy", scratch / f"vectors-{digest.hexdigest()}.npy"):
        if file.exists():
            vectors: Vectors = np.load(file)[: len(texts)]
            if len(vectors) == len(texts):
                return vectors
    say(f"computing {len(texts)} vectors; this is done once")
    model = MiniLM(threads=2)
    parts = [
        model.embed([text.whole for text in texts[start : start + 1000]]).astype(np.float16)
        for start in range(0, len(texts), 1000)
    ]
    vectors = np.concatenate(parts)
    np.save(file, vectors)
    return vectors


# --- queries ------------------------------------------------------------------------------------


def _read_sets(retrieval: Path) -> dict[str, dict[str, Any]]:
    opener = gzip.open if retrieval.suffix == ".gz" else open
    with opener(retrieval, "rt", encoding="utf-8") as file:
        return {name: parts[0] for name, parts in json.load(file).items()}


def _pairs(data: dict[str, Any]) -> Iterator[Pair]:
    documents = dict(zip(data["ids"], data["docs"], strict=True))
    for query in data["queries"]:
        for identifier in query["rel"]:
            yield Pair(query["text"], documents[identifier])


def _short(queries: Iterable[str]) -> list[str]:
    """Distinct queries of two to eight words, shuffled."""
    return _shuffled(dict.fromkeys(q for q in queries if 2 <= len(q.split()) <= SHORT_WORDS))


def _first_sentence(entry: Text) -> str:
    return re.split(r"[.!?:;\n]", entry.content.strip(), maxsplit=1)[0]


def _pasted(sessions: Path | None, texts: Sequence[Text]) -> list[str]:
    """What people paste: problems and outputs, one of each session; or texts, one after another."""
    found = list(_of_sessions(sessions)) if sessions else list(_joined(texts))
    return _shuffled(dict.fromkeys(found))


def _of_sessions(sessions: Path) -> Iterator[str]:
    for line in (sessions / "tasks.jsonl").read_text(encoding="utf-8").splitlines():
        yield from _cut(json.loads(line)["problem"])
    with gzip.open(sessions / "sessions.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            outputs = (event.get("out") or "" for event in json.loads(line)["events"])
            yield from next((c for c in map(_cut, outputs) if c), [])


def _joined(texts: Sequence[Text]) -> Iterator[str]:
    for start in range(0, min(len(texts), 4000), 20):
        yield from _cut("\n".join(text.whole for text in texts[start : start + 20]))


def _cut(source: str) -> list[str]:
    """The first 300 words with the spaces between them, if there are so many."""
    ends = [match.end() for match in re.finditer(r"\S+", source)]
    return [source[: ends[PASTED_WORDS - 1]]] if len(ends) >= PASTED_WORDS else []


def _shuffled(items: Iterable[str]) -> list[str]:
    found = list(items)
    random.Random(SEED).shuffle(found)
    return found


def by_meaning_alone(pairs: Sequence[Pair], count: int, model: MiniLM) -> list[Pair]:
    """Pairs whose question shares fewest words with its document, among those the model can match.

    Chosen by exact cosines among the pairs themselves: the document is the question's nearest.
    """
    distinct = list({pair.document: pair for pair in pairs}.values())[: count * 10]
    asked = model.embed([pair.question for pair in distinct])
    told = model.embed([pair.document for pair in distinct])
    nearest = np.argmax(asked @ told.T, axis=1)
    known = [pair for at, pair in enumerate(distinct) if nearest[at] == at]
    return sorted(known, key=_shared_words)[:count]


def _shared_words(pair: Pair) -> float:
    asked = set(text.read_query(pair.question))
    return len(asked & set(text.read_query(pair.document))) / max(len(asked), 1)
