"""How long a folder takes that was learned before: unchanged, with one edit, and as other tags."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, as_json, installed
from benchmarks.core.report import Row

FILES = 5000
#: Files in one folder of it.
IN_A_FOLDER = 50
#: Seconds that the folder may take when nothing has changed, the command's start included.
LONGEST = 5.0


def measure(context: Context) -> list[Row]:
    """The row of learning again."""
    files = context.times(FILES)
    with installed(context.work, None) as khive:
        khive.start()
        khive.settle()
        folder = khive.home / "docs"
        _write(folder, files)
        first = _seconds(khive, folder, files, 0)
        again = min(_seconds(khive, folder, 0, files) for _ in range(3))
        (folder / "0" / "0.md").write_text("# Note 0\n\nNow it says something else.\n")
        edited = _seconds(khive, folder, 1, files - 1)
        tagged = _seconds(khive, folder, 0, files, "--tag", "more")
    return [
        Row(
            what=f"`learn` of a folder of {files} files that are known",
            target=f"<= {LONGEST:.0f} s, nothing embedded",
            khive=f"{again:.2f} s unchanged; {edited:.2f} s with one edit",
            peers=(
                f"the first time, all embedded: {first:.1f} s",
                f"read and compared again, for another tag: {tagged:.1f} s",
            ),
            met=again <= LONGEST,
            notes=("The whole command; every file is read, and known by its digest.",),
            data={"first": first, "again": again, "edited": edited, "tagged": tagged, "n": files},
        )
    ]


def _write(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / str(number // IN_A_FOLDER) / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Note {number}\n\nThe value of setting {number} is {number * 7}.\n")


def _seconds(khive: Installation, folder: Path, stored: int, known: int, *more: str) -> float:
    began = time.perf_counter()
    done = as_json(khive.run("learn", str(folder), "--json", *more))
    seconds = time.perf_counter() - began
    if (done["stored"], done["already_known"]) != (stored, known):
        raise RuntimeError(f"{stored} were to be stored and {known} known, and it was: {done}")
    return seconds
