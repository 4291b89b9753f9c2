"""What goes on running imports nothing of ours late: the files may be another release's by then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from khive_workers import preload

ROOT = Path(__file__).parents[3]
#: Commands run for a moment, and an attach that becomes another process begins anew.
SHORT_LIVED = ("cli/", "attach", "entry.py", "__main__.py", "paths.py")
#: Imported where only a process of its own comes by, when it begins: the embedder, the builder, a
#: worker that serves alone; and by the supervisor's commands, which it has loaded at its start.
AT_A_START = {
    "khive_supervisor.embed.minilm",
    "khive_supervisor.config.all_capabilities",
    "khive_supervisor.packs.warm_up",  # by the zygote, before it is ready
}


def long_lived() -> Iterator[Path]:
    for package in (ROOT / "khive_supervisor", ROOT / "workers/khive_workers"):
        for file in package.rglob("*.py"):
            if not str(file.relative_to(package)).startswith(SHORT_LIVED):
                yield file


def late_imports(file: Path) -> Iterator[str]:
    """Modules of ours that are imported inside of functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("khive_"):
                for name in node.names:
                    module = f"{node.module}.{name.name}"
                    is_module = any(
                        (root / (module.replace(".", "/") + ".py")).exists()
                        for root in (ROOT, ROOT / "workers")
                    )
                    yield module if is_module else str(node.module)


def test_what_runs_for_long_imports_early_all_but_what_is_preloaded() -> None:
    found = {file: set(late_imports(file)) - AT_A_START for file in long_lived()}
    late = set(preload.LATE)
    assert {file: names - late for file, names in found.items() if names - late} == {}
    assert late <= set().union(*found.values()), "preloaded in vain"


def test_what_is_preloaded_can_be_imported() -> None:
    preload.preload()
