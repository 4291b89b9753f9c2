"""The store and index that are measured: made once by the project's own code, then kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import khive_supervisor
from benchmarks.core.material import Text, Vectors
from benchmarks.core.report import say
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

#: Entries of one transaction.
BATCH = 2000
#: What decides how a store looks: another source, another store.
_SOURCES = ("store", "sqlite", "index", "text", "embed/model/MODEL.json")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A finished store with its index; `ids[i]` is the entry of text i."""

    store: Path
    index: Path
    model_id: str
    ids: list[int]


def prepare(texts: list[Text], vectors: Vectors, work: Path) -> Prepared:
    """The store of these texts: from an earlier run, or made now (a few minutes for 100,000)."""
    directory = work / f"store-{_key(texts, vectors)}"
    if not (directory / "done.json").exists():
        for stale in (*work.glob("store-*"), *work.glob("making-*")):
            shutil.rmtree(stale)
        making = work / f"making-{os.getpid()}"
        making.mkdir(parents=True)
        ids = _fill(making / "khive.db", texts, vectors)
        _build_index(making / "khive.db")
        (making / "done.json").write_text(json.dumps(ids), encoding="ascii")
        making.rename(directory)
    (index,) = (directory / "index").glob("*.ann")
    ids = json.loads((directory / "done.json").read_text(encoding="ascii"))
    return Prepared(directory / "khive.db", index, model_files().model_id, ids)


def _key(texts: list[Text], vectors: Vectors) -> str:
    digest = blake2b(digest_size=8)
    package = Path(khive_supervisor.__file__).parent
    for name in _SOURCES:
        place = package / name
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(file.read_bytes())
    for text in texts:
        digest.update(text.whole.encode("utf-8", "surrogatepass"))
    digest.update(vectors.tobytes())
    return digest.hexdigest()


def _fill(path: Path, texts: list[Text], vectors: Vectors) -> list[int]:
    say(f"storing {len(texts)} entries; this is done once")
    store = SqliteStore(str(path))
    ids: list[int] = []
    try:
        for start in range(0, len(texts), BATCH):
            part = slice(start, start + BATCH)
            entries = [_entry(text) for text in texts[part]]
            rows = [row.astype("<f2").tobytes() for row in vectors[part]]
            ids += [added.id for added in store.entries.add(entries, rows, model_files().model_id)]
        store.checkpoint(truncate=True)
    finally:
        store.close()
    return ids


def _entry(text: Text) -> NewEntry:
    return NewEntry("knowledge", "default", "document", text.title, text.content)


def _build_index(path: Path) -> None:
    say("building the index; this is done once")
    model = model_files()
    subprocess.run(
        [
            *(sys.executable, "-P", "-m", "khive_workers.index_builder", "--store", str(path)),
            *("--model-id", model.model_id, "--dimensions", str(model.dimensions), "--force"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    store = SqliteStore(str(path))
    store.checkpoint(truncate=True)
    store.close()
