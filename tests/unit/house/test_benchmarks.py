"""Every measurement can be asked for by a name, and is documented by it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support import ROOT

BENCHMARKS = ROOT / "benchmarks"


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def registered() -> dict[str, str]:
    """Return the measurements of `run.py` as name to `module.function`, without importing them."""
    found = {}
    for node in tree(BENCHMARKS / "run.py").body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(key, ast.Constant)
                found[str(key.value)] = ast.unparse(value)
    return found


def test_every_measurement_has_a_name_to_ask_for_it() -> None:
    defined = {
        f"{file.stem}.{node.name}"
        for file in BENCHMARKS.glob("*/*.py")
        for node in tree(file).body
        if isinstance(node, ast.FunctionDef) and re.fullmatch(r"measure(_\w+)?", node.name)
    }
    used = {
        alias.name
        for file in BENCHMARKS.glob("*/*.py")
        for node in tree(file).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(registered().values()) <= defined
    forgotten = defined - set(registered().values())
    assert {name for name in forgotten if not used & set(name.split("."))} == set()


def test_every_name_is_in_the_document() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in registered() if f"`{name}`" not in text] == []
