"""The map of modules in docs/architecture.md: each module's own first line, by rooms."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "house"))

from test_layers import FLOORS, packages, room_of, trees  # found by the line above

#: Their own modules are rooms of one module each, and stand in one table.
ROOTS = ("khive_supervisor", "khive_workers")


def first_line(module: str) -> str:
    """Return the first line of a module's docstring, as a cell of a table."""
    return (ast.get_docstring(trees()[module]) or "").partition("\n")[0].replace("|", "\\|")


def place(module: str) -> str:
    """Return where a module or a package lies, seen from the root of the repository."""
    path = module.replace(".", "/")
    return f"workers/{path}" if path.startswith("khive_workers") else path


def section(package: str, modules: list[str]) -> list[str]:
    """Return the lines of one room: its heading, its package's first line, its modules."""
    rows = [f"| `{m.rpartition('.')[2]}.py` | {first_line(m)} |" for m in modules]
    return [f"### {place(package)}/", "", first_line(package), "", "| | |", "|---|---|", *rows, ""]


def reference() -> str:
    """Return the map: modules that lie in no folder, then every room from the bottom up."""
    inside: dict[str, list[str]] = {package: [] for package in packages()}
    for module in trees():
        if module not in inside:
            inside[module.rpartition(".")[0]].append(module)
    rank = [room for floor in FLOORS for room in floor]
    folders = sorted(inside.keys() - set(ROOTS), key=lambda name: rank.index(room_of(name)))
    return "\n".join(
        line
        for package in (*ROOTS, *folders)
        if inside[package]
        for line in section(package, inside[package])
    )
