"""Lines of others' code, prose and logs, which hold no secrets that anybody knows of."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

#: The seed of the choice, and lines of one file at most: no file decides.
SEED, OF_ONE_FILE = 2203, 400
#: Shares of code, prose and logs among the lines, as far as there are so many.
SHARES = {"code": 0.6, "prose": 0.3, "logs": 0.1}
_SUFFIXES = {
    "code": (".py", ".c", ".h", ".js", ".ts", ".go", ".rs", ".java", ".sh", ".toml", ".yaml",
             ".yml", ".json", ".cfg", ".ini"),
    "prose": (".md", ".rst", ".txt", "METADATA", ".html", ".tsv"),
    "logs": (".log",),
}  # fmt: skip
#: What tests of cryptography and of clients hold may be keys indeed.
_LEFT_OUT = {"test", "tests", "testing", "node_modules", ".git"}


def own_texts() -> list[Path]:
    """The standard library, what is installed beside this, and the machine's logs."""
    named = (sysconfig.get_path(name) for name in ("stdlib", "purelib"))
    return [*map(Path, named), Path("/var/log"), Path("/usr/share/doc")]


def sampled(roots: Sequence[Path], wanted: int) -> Iterator[tuple[str, list[str]]]:
    """Return pieces of files: their kind and lines, by shares, in an order that chance has made."""
    files = sorted({path for root in roots for path in root.rglob("*") if _is_text(path)})
    random.Random(SEED).shuffle(files)
    left = {kind: int(wanted * share) for kind, share in SHARES.items()}
    for kinds in (tuple(SHARES), ("code",)):  # what is wanting of one kind is made up with code
        for path in files:
            kind = _kind(path)
            if kind in kinds and left[kind] > 0:
                lines = _lines(path)[: min(OF_ONE_FILE, left[kind])]
                left[kind] -= len(lines)
                if lines:
                    yield kind, lines
        left["code"] = sum(left.values())
        files = files[::-1]


def _kind(path: Path) -> str | None:
    return next((k for k, ends in _SUFFIXES.items() if path.name.endswith(ends)), None)


def _is_text(path: Path) -> bool:
    return _kind(path) is not None and not _LEFT_OUT & set(path.parts) and path.is_file()


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        return []
