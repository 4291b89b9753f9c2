"""Does a wheel hold what the source tree does, and nothing else? Usage: wheel_contents.py WHEEL"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Packages, and the directory that each lies in.
SOURCES = {"khive_supervisor": ROOT, "khive_workers": ROOT / "workers"}
#: What a wheel says of itself, below its `.dist-info`.
ABOUT = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt"}
LICENCES = {
    "LICENSE",
    "khive_supervisor/embed/model/LICENSE",
    "khive_supervisor/embed/model/NOTICE",
}


def source_files() -> set[str]:
    """Return every file of both packages, as a wheel names it."""
    return {
        file.relative_to(place).as_posix()
        for package, place in SOURCES.items()
        for file in (place / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def problems(names: Iterable[str], files: set[str]) -> list[str]:
    """Return what is wrong with a wheel that has these names, made from these files."""
    found = {name for name in names if not name.endswith("/")}
    about = {name for name in found if ".dist-info/" in name}
    inside = {name.partition(".dist-info/")[2] for name in about}
    wanted = ABOUT | {f"licenses/{name}" for name in LICENCES}
    return [
        *(f"not in the wheel: {name}" for name in sorted(files - found)),
        *(f"not in the source: {name}" for name in sorted(found - about - files)),
        *(f"not in its .dist-info: {name}" for name in sorted(wanted - inside)),
        *(f"nobody knows of: {name}" for name in sorted(inside - wanted)),
    ]


def main(wheel: str) -> int:
    """Print every problem; 0 if there is none."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    files = source_files()
    found = problems(names, files)
    print(*found, sep="\n", end="\n" if found else "")
    print(f"wheel contents: {len(files)} files, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
