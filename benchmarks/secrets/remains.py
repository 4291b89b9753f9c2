"""What a purge leaves in a store's files, while sessions are attached and an index is mapped."""

from __future__ import annotations

import json
import random
import subprocess
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, Installation, installed
from benchmarks.core.processes import DEADLINE, wait_until
from benchmarks.core.report import Row
from benchmarks.core.session import Session

#: Documents around the purged entries, sessions that map the index, entries that are purged.
DOCUMENTS, SESSIONS, PURGED = 400, 3, 20
_SEED = 7


def measure(context: Context) -> list[Row]:
    """The row of purges."""
    with installed(context.work) as khive:
        khive.write_configuration("[index]\nrebuild_minimum = 100\n")
        khive.start()
        words = _marks(PURGED)
        sessions = [_attached(khive) for _ in range(SESSIONS)]
        ids = [_remember(sessions[0], word) for word in words]
        _learn(khive, context.times(DOCUMENTS))
        khive.settle()
        for session in sessions:
            session.call("memory_recall", query=f"the number of {words[0]}")
        before = _bytes(khive, words)
        began = time.perf_counter()
        answer = _purge(khive, ids)
        seconds = time.perf_counter() - began
        after = _bytes(khive, words)
        for session in sessions:
            session.end()
    return [_row(before, after, seconds, answer["left"])]


def _purge(khive: Installation, ids: Sequence[str]) -> dict[str, Any]:
    """Purge as a user does: by a command that no client of sessions, such as this, has started."""
    script = '("$@" >purge.json 2>purge.error; echo $? >purge.exit) &'
    words = ["sh", "-c", script, "sh", COMMAND, "purge", *ids, "--yes", "--json"]
    subprocess.run(
        words, env=khive.environment, cwd=khive.home, stdin=subprocess.DEVNULL, check=True
    )
    wait_until((khive.home / "purge.exit").exists, "the purge has ended", DEADLINE * 5)
    if not (text := (khive.home / "purge.json").read_text()):
        raise RuntimeError((khive.home / "purge.error").read_text())
    answer: dict[str, Any] = json.loads(text)
    return answer


def _row(before: int, after: int, seconds: float, left: Sequence[object]) -> Row:
    return Row(
        what=f"purge of {PURGED} entries, {SESSIONS} sessions with the index mapped: words left",
        target="0 in every file of the store",
        khive=f"{after} of {PURGED} words ({before} before), {seconds:.1f} s",
        met=before == PURGED and after == 0 and not left,
        notes=("The whole command, with a new index and the search for what is left.",),
        data={"before": before, "after": after, "seconds": seconds, "left": list(left)},
    )


def _marks(count: int) -> list[str]:
    """Words that nothing else has."""
    rng = random.Random(_SEED)
    return ["".join(rng.choices("bcdfghjklmnpqrstvwz", k=14)) for _ in range(count)]


def _attached(khive: Installation) -> Session:
    session = Session(khive.attach())
    session.initialize()
    return session


def _remember(session: Session, word: str) -> str:
    text = f"The number of the {word} account is kept by Ada, and nobody else has a copy of it."
    return str(session.call("memory_remember", content=text)["id"])


def _learn(khive: Installation, count: int) -> None:
    """Fill the store with what the standard library says of itself."""
    folder = khive.home / "texts"
    folder.mkdir()
    source = Path(sysconfig.get_path("stdlib"))
    files = sorted(source.glob("*.py"))
    for number in range(count):
        text = files[number % len(files)].read_text("utf-8", "replace").splitlines()
        part = number // len(files) * 40
        (folder / f"{number}.txt").write_text("\n".join(text[part : part + 40]) + f"\n{number}\n")
    khive.run("learn", str(folder), "--json")


def _bytes(khive: Installation, words: Sequence[str]) -> int:
    """How many of the words any file of the installation's store has."""
    blob = b"".join(f.read_bytes() for f in sorted(khive.store.parent.rglob("*")) if f.is_file())
    return sum(word.encode() in blob for word in words)
