"""Each environment variable that the code reads has a decision about whose word it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from khive_supervisor.config.load import OVERRIDES
from khive_supervisor.config.settings.service import ENVIRONMENT_ALLOWED
from khive_supervisor.config.variables import VARIABLES
from khive_supervisor.host import repository

ROOT = Path(__file__).parents[3]
KNOWN = {variable.name: variable for variable in VARIABLES}
_OURS = re.compile(r"(KHIVE|XDG)_[A-Z]+(_[A-Z]+)*")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def constants(tree: ast.AST) -> set[str]:
    """Texts that are names of ours, and those that are looked up in an environment."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if _OURS.fullmatch(node.value) else set()
        elif isinstance(node, ast.Call) and node.args and _looks_up(node.func):
            found |= _name(node.args[0])
        elif _is_read(node):
            assert isinstance(node, ast.Subscript)
            found |= _name(node.slice)
    return found


def _is_read(node: ast.AST) -> bool:
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return False
    return "environ" in ast.unparse(node.value)


def _looks_up(function: ast.expr) -> bool:
    text = ast.unparse(function)
    return text.endswith(("paths.env", "getenv")) or text == "env" or bool(
        re.search(r"environ(ment)?\.(get|pop)$", text)
    )  # fmt: skip


def _name(argument: ast.expr) -> set[str]:
    value = argument.value if isinstance(argument, ast.Constant) else None
    value = value.decode() if isinstance(value, bytes) else value
    return {value} if isinstance(value, str) and _NAME.fullmatch(value) else set()


def test_every_variable_that_is_read_has_a_decision() -> None:
    read: dict[str, str] = {}
    for top in ("khive_supervisor", "workers"):
        for path in (ROOT / top).rglob("*.py"):
            for name in constants(ast.parse(path.read_text(encoding="utf-8"))):
                read.setdefault(name, str(path.relative_to(ROOT)))
    unknown = {name: where for name, where in read.items() if name not in KNOWN}
    assert not unknown, "say in config/variables.py whose word these are, and in docs/settings.md"
    assert {"HOME", "KHIVE_CONFIG", "KHIVE_NO_DAEMON"} <= set(read)


def test_those_that_lead_somewhere_are_judged_by_where() -> None:
    judged = {*repository.FILES, *repository.DIRECTORIES, repository.URL, "HOME"}
    assert {v.name for v in VARIABLES if v.trust == "place"} == judged


def test_overrides_and_forwarded_variables_are_among_them() -> None:
    assert set(OVERRIDES) | set(ENVIRONMENT_ALLOWED) <= set(KNOWN)
    assert {KNOWN[name].trust for name in ENVIRONMENT_ALLOWED} == {"session", "narrow"}


def test_the_document_has_each_of_ours() -> None:
    text = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    for variable in VARIABLES:
        if variable.name.startswith(("KHIVE_", "XDG_")) and variable.trust != "ours":
            row = f"| `{variable.name}` | {variable.help} | {variable.trust} |"
            assert row in text, f"docs/settings.md needs the row {row}"
