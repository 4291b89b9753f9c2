"""A store moved to a team's server and back, and a machine that joins: how long, and how equal."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, clean_environment
from benchmarks.core.report import Row
from benchmarks.curation import export
from benchmarks.team.nodes import postgres
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.text.plain_json import JsonObject

ENTRIES, JOIN_SECONDS = 100_000, 60.0
#: Bytes of a vector of the bundled model.
_VECTOR = 768


def measure(context: Context) -> list[Row]:
    """The rows of moving and joining."""
    if missing := driver_is_missing():
        return missing
    count = max(context.times(ENTRIES), 1000)
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name, postgres() as server:
        first, second = (_machine(Path(name) / one) for one in ("one", "two"))
        alone = first / ".local/share/khive/khive.db"
        alone.parent.mkdir(parents=True)
        export.fill(alone, count, vector=_VECTOR)
        size = alone.stat().st_size
        before = _exported(first, "before")
        there, _ = _timed(first, "migrate", "--to", server.url)
        joining, _ = _timed(second, "join", server.url)
        back, said = _timed(second, "migrate", "--to", str(Path(name) / "back.db"))
        third = _machine(Path(name) / "three")
        (third / ".config/khive/khive.toml").write_text(
            f'[store]\npath = "{name}/back.db"\n[embedder]\nkind = "none"\n'
        )
        equal = _exported(third, "after") == before
    compared = said["compared"]["rows"]
    return [
        Row(
            what=f"a store of {count:,} entries with vectors moved to a server, and from there to "
            "a file on another machine",
            target="equal exports",
            khive=f"{'equal' if equal else 'NOT EQUAL'}; {there:.0f} s there, {back:.0f} s back",
            met=equal,
            notes=(f"{size / 1e6:.0f} MB; {compared:,} rows compared each way before.",),
            data={"equal": equal, "there": there, "back": back},
        ),
        Row(
            what=f"a machine joins a team with {count:,} entries, vectors included",
            target=f"{JOIN_SECONDS:.0f} s",
            khive=f"{joining:.1f} s",
            met=joining <= JOIN_SECONDS,
            notes=("The command `join`; all words and vectors are there when it ends.",),
            data={"join": joining},
        ),
    ]


def _machine(home: Path) -> Path:
    """Return a HOME whose configuration needs no model."""
    file = home / ".config/khive/khive.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[embedder]\nkind = "none"\n', encoding="utf-8")
    return home


def _timed(home: Path, *words: str) -> tuple[float, JsonObject]:
    """Run a command as a user does; return the seconds that it took, and what it said."""
    environment = {**clean_environment(home), "KHIVE_NO_DAEMON": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [COMMAND, *words, *(() if words[0] == "export" else ("--json",))],
        env=environment, cwd=home, check=True, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    return seconds, json.loads(done.stdout) if words[0] != "export" else {}


def _exported(home: Path, name: str) -> list[str]:
    file = home / f"{name}.jsonl"
    _timed(home, "export", "--vectors", str(file))
    return export.canonical(file)
