"""What a module remembers outlives the test, the command or the child that it was meant for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: Containers that are filled after their module is loaded, and why a process needs one of them.
KEPT = {
    "khive_supervisor/cli/command_table.py:MODULES",  # filled while it is loaded
    "khive_supervisor/cli/command_table.py:SUMMARIES",  # filled while it is loaded
    "khive_supervisor/control/measured.py:_counts",  # a process's own counters
    "khive_supervisor/truth/words.py:IRREGULAR",  # filled while it is loaded
    "workers/khive_workers/common/heap.py:_filling",  # kept from the allocator on purpose
}


def _empty(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        name = value.func.id if isinstance(value.func, ast.Name) else ""
        return name in {"list", "dict", "set", "deque", "Counter", "defaultdict", "OrderedDict"}
    parts = (ast.List, ast.Dict, ast.Set)
    return isinstance(value, parts) and not (
        value.keys if isinstance(value, ast.Dict) else value.elts
    )


def _containers() -> Iterator[str]:
    for top in ("khive_supervisor", "workers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                if isinstance(node, ast.AnnAssign) and "Mapping" not in ast.unparse(
                    node.annotation
                ):
                    targets = [node.target]
                if targets and _empty(node.value):
                    yield f"{path.relative_to(ROOT)}:{ast.unparse(targets[0])}"


def test_modules_keep_no_state() -> None:
    assert set(_containers()) == KEPT
