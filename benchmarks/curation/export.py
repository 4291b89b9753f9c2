"""How long a store takes to be exported and imported, and whether both stores are equal then."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, clean_environment
from benchmarks.core.report import Row
from khive_supervisor.profiles.model import DEFAULT, NewEvent
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import How, NewEntry, Provenance, SaidBy

ENTRIES, SECONDS = 100_000, 60.0
#: Projects that entries are about, and of how many entries one is superseded, forgotten, pinned or
#: judged.
_PROJECTS, _EVERY = 20, 10
_BATCH, _SEED = 1000, 1129
_CONFIGURATION = '[embedder]\nkind = "none"\n'


def measure(context: Context) -> list[Row]:
    """The row of export and import."""
    count = max(context.times(ENTRIES), 1000)
    homes = [context.work / f"export-{name}" for name in ("from", "to")]
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)
        _prepare(home)
    fill(homes[0] / "khive.db", count)
    first, second = (context.work / f"{name}.jsonl" for name in ("first", "second"))
    used = _processor()
    exporting = _timed(homes[0], "export", str(first))
    importing = _timed(homes[1], "import", str(first))
    used = _processor() - used
    again = _timed(homes[1], "import", str(first))
    _timed(homes[1], "export", str(second))
    equal = canonical(first) == canonical(second)
    size = first.stat().st_size
    for file in (first, second):
        file.unlink()
    seconds = exporting + importing
    return [
        Row(
            what=f"export and import of {count:,} entries, a tenth each superseded, forgotten, "
            "pinned and judged, in 20 projects",
            target=f"equal stores, <= {SECONDS:.0f} s",
            khive=f"{'equal' if equal else 'NOT EQUAL'}; {exporting:.1f} + {importing:.1f} s",
            met=equal and seconds <= SECONDS,
            notes=(
                (
                    f"{size / 1e6:.0f} MB; {used:.1f} s of the processor; a second import takes "
                    f"{again:.1f} s"
                ),
            ),
            data={"equal": equal, "export": exporting, "import": importing, "again": again},
        )
    ]


def _prepare(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "khive.toml").write_text(f'{_CONFIGURATION}[store]\npath = "{home}/khive.db"\n')


def _timed(home: Path, *words: str) -> float:
    """Run a command as a user does; seconds that it took."""
    environment = {**clean_environment(home), "KHIVE_NO_DAEMON": "1"}
    began = time.perf_counter()
    subprocess.run(
        [COMMAND, *words, "--config", str(home / "khive.toml")],
        env=environment, cwd=home, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - began


def _processor() -> float:
    """Return the seconds of the processor that commands have used so far."""
    used = os.times()
    return used.children_user + used.children_system


def canonical(file: Path) -> list[str]:
    """Return the records of an export in an order, without what names the store and its events."""
    with file.open(encoding="utf-8") as lines:
        records = map(json.loads, lines)
        kept = ({k: v for k, v in one.items() if k != "seq"} for one in records
                if one["type"] != "khive-export")  # fmt: skip
        return sorted(json.dumps(one, sort_keys=True) for one in kept)


def fill(path: Path, count: int, vector: int = 0) -> None:
    """Make a store with something of each kind that an export has; vectors of so many bytes."""
    chance = random.Random(_SEED)
    with SqliteStore(str(path), busy_timeout=60.0) as store:
        places = [f"folder:{os.sep}work{os.sep}p{number}" for number in range(_PROJECTS)]
        projects = [store.projects.ensure(ProjectIdentity(p, p, p)) for p in places]
        for entries in _batches(chance, count, projects):
            vectors = [chance.randbytes(vector) for _ in entries] if vector else None
            ids = [one.id for one in store.entries.add(entries, vectors, "m")]
            chosen = chance.sample(ids, 4 * (len(ids) // _EVERY))
            share = len(chosen) // 4
            store.entries.forget(chosen[:share])
            store.lists.pin(chosen[share : 2 * share])
            events = [
                NewEvent(DEFAULT, "feedback", entry_id=one, signal="useful", actor="ada")
                for one in chosen[2 * share : 3 * share]
            ]
            store.feedback.record_many(events)
            with store.transaction():
                for old, entry in zip(chosen[3 * share :], entries, strict=False):
                    new = NewEntry("memory", "local", "semantic", "", f"{entry.content} anew {old}")
                    store.entries.supersede(old, new)


def _batches(
    chance: random.Random, count: int, projects: Sequence[int]
) -> Iterator[list[NewEntry]]:
    words = [f"{first}{second}" for first in ("ka", "lo", "mi", "ru", "te") for second in
             ("bar", "den", "fol", "gis", "hum", "jon", "pel", "ser", "tov", "win")]  # fmt: skip
    who = Provenance(SaidBy.AGENT, How.SAID, client="bench", session="s")
    for start in range(0, count, _BATCH):
        yield [
            NewEntry(
                "memory", "local", "semantic", f"title {number}",
                f"{number} {' '.join(chance.choices(words, k=chance.randrange(8, 60)))}",
                tuple(chance.sample(words, chance.randrange(4))), provenance=who,
                created_at=1.7e9 + number, project=chance.choice([None, *projects]),
            )
            for number in range(start, min(start + _BATCH, count))
        ]  # fmt: skip
