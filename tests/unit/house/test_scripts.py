"""Scripts and benchmarks, which no type checker reads, name only what is there."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OURS = ("khive_supervisor", "khive_workers", "benchmarks")


def programs() -> Iterator[Path]:
    yield from sorted((ROOT / "benchmarks").rglob("*.py"))
    for file in sorted((ROOT / "scripts").iterdir()):
        if file.is_file() and b"python" in file.read_bytes().partition(b"\n")[0]:
            yield file


def is_there(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("file", list(programs()), ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_program_imports_is_there(file: Path) -> None:
    missing = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS
        for alias in node.names
        if not is_there(str(node.module), alias.name)
    ]
    assert missing == []
