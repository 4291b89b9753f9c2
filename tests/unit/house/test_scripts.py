"""Scripts and benchmarks, which no type checker reads, name only what is there."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
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


def test_the_example_ends_when_its_supervisor_was_stopped_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    demo = importlib.import_module("demo")
    there = iter([os.getpid(), None, None])
    monkeypatch.setattr(demo, "LINUX", False)
    monkeypatch.setattr(demo, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(demo, "supervisor", lambda: next(there))
    log = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    assert demo.watch(log) == 0
    assert log.poll() is not None
    assert "was stopped elsewhere" in capsys.readouterr().out


def test_what_programs_import_is_there() -> None:
    missing = [
        f"{file}: {node.module}.{alias.name}"
        for file in programs()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS
        for alias in node.names
        if not is_there(str(node.module), alias.name)
    ]
    assert missing == []
