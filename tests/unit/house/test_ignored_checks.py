"""A check that is ignored says why beside it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("khive_supervisor", "workers", "benchmarks", "scripts", "tests")
BARE = re.compile(r"# (?:type: ignore(?:\[[\w, -]+\])?|noqa(?:: [A-Z0-9, ]+)?)\s*$")


def test_an_ignored_check_has_its_reason_beside_it() -> None:
    bare = [
        f"{file.relative_to(ROOT)}:{number}"
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if BARE.search(line)
    ]
    assert bare == []


def test_a_bare_one_would_be_found() -> None:
    assert BARE.search("x = y  # type: " + "ignore[assignment]")
    assert not BARE.search("import x  # noqa: " + "F401 - it registers itself")
