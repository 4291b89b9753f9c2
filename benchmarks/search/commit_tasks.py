"""Commits as agents' sessions: what was to be done, and the files that it touched."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Words that a message has, and files of a commit: what says too little, or touches everything.
WORDS, MOST_FILES = (30, 500), 8
#: Commits of one store, stores, and the seed that draws them.
SAMPLE, STORES, SEED = 130, 2, 3
SOURCES = (".py", ".pyx", ".c", ".h", ".sh", ".perl", ".js", ".ts", ".go", ".rs")

_TRAILER = re.compile(r"^[A-Z][\w-]+-by:|^Cc:|^Change-Id")


def stores_of(repository: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield samples of a repository's commits in order of time, each as tasks of one store."""
    told = subprocess.run(
        ["git", "-C", str(repository), "log", "--reverse", "--no-merges", "--name-only",
         "--format=%x01%H%x02%B%x03"],
        capture_output=True, check=True,
    ).stdout.decode("utf-8", "replace")  # fmt: skip
    tasks = [task for part in told.split("\x01")[1:] if (task := _task(part))]
    draw = random.Random(SEED)
    for number in range(STORES):
        chosen = sorted(draw.sample(range(len(tasks)), min(SAMPLE, len(tasks))))
        yield [{**tasks[at], "repo": f"{repository.name}{number}"} for at in chosen]


def _task(part: str) -> dict[str, Any] | None:
    commit, _, rest = part.partition("\x02")
    message, _, names = rest.partition("\x03")
    files = [name for name in names.splitlines() if name.strip()]
    kept = "\n".join(one for one in message.splitlines() if not _TRAILER.search(one)).strip()
    sources = [name for name in files if name.endswith(SOURCES) and "test" not in name]
    fits = WORDS[0] <= len(kept.split()) <= WORDS[1] and "\n" in kept
    if not sources or len(files) > MOST_FILES or not fits:
        return None
    return {"id": commit, "problem": kept, "files": sources}
