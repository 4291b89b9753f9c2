"""Imports point one way."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "khive_supervisor"

#: From the bottom up. A module imports its own layer and those below.
LAYERS = (
    {
        "__init__",
        "errors",
        "exitcodes",
        "paths",
        "repository",
        "literals",
        "text",
        "documents",
        "durable",
        "processes",
        "places",
        "process_tree",
        "holder",
        "wellformed",
    },
    {
        "protocol",
        "config",
        "logs",
        "client",
        "attach",
        "attach_channel",
        "attach_reserve",
        "attach_start",
    },
    {"access", "audit", "budgets", "profiles", "tasks"},
    {"store", "embed", "agents", "worktrees"},
    {"freshness"},
    {"index"},
    {"search"},
    {"verbs"},
    {"supervision"},
    {"cli"},
    {"entry", "__main__"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
#: What a child process never needs, and must not load.
PARENT_ONLY = {"supervision", "cli", "entry", "__main__"}


def imports(path: Path) -> set[str]:
    """Absolute names of the project's modules that a file imports anywhere, below two levels."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name for name in names if name.split(".")[0].startswith(("khive_", "workers"))}
    return found


def layer_of(name: str) -> str:
    parts = name.split(".")
    known = parts[1] if len(parts) > 1 else "__init__"
    return known if known in RANK else "__init__"


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_supervisor_package_imports_downwards_only(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in RANK, f"{own} is in no layer: add it to LAYERS"
    for name in imports(path):
        assert name.startswith("khive_supervisor"), f"{path} imports {name}"
        assert RANK[layer_of(name)] <= RANK[own], f"{path} imports {name}, which is above it"


@pytest.mark.parametrize("path", sorted((ROOT / "workers").rglob("*.py")), ids=lambda p: p.name)
def test_workers_import_no_parent_only_layer(path: Path) -> None:
    for name in imports(path):
        if name.startswith("khive_supervisor"):
            assert layer_of(name) not in PARENT_ONLY, f"{path} imports {name}"


def test_workers_is_only_a_source_root() -> None:
    assert not (ROOT / "workers" / "__init__.py").exists()


def test_every_package_ships() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    ship = set(settings["options"]["packages"].split())
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in (ROOT / "khive_supervisor").rglob("__init__.py")
    }
    assert ship == there | {"khive_workers"}
