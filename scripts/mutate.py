"""Mutation testing of the pure core: one small change at a time, which some test has to notice.

Each mutant is run in a fork of this process, which has imported pytest and all else that takes long
and none of our own modules; the module is compiled from its changed tree when a test imports it.
The tests are those of the module's own room that import it by name, without tests/conftest.py.
Nothing is written to disk.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import os
import re
import resource
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import apsw  # noqa: F401 - imported once, for all forks
import hypothesis
import mcp  # noqa: F401 - as apsw
import numpy as np  # noqa: F401 - as apsw
import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Seconds of processor time for the tests of one mutant: one that loops for ever is noticed, too.
LIMIT = 20
#: What was imported before pytest cannot have its asserts rewritten: nothing of ours.
REWRITE = "ignore::pytest.PytestAssertRewriteWarning"
#: Generated examples for each property: enough for what is wrong in one place.
EXAMPLES = 20

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield each small change of one node: in words, and the node that takes its place."""
    new = copy.copy(node)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        other = COMPARED[type(node.ops[0])]()
        new.ops = [other, *node.ops[1:]]
        yield f"{type(node.ops[0]).__name__} to {type(other).__name__}", new
    elif isinstance(node, ast.BinOp) and type(node.op) in COMPUTED:
        new.op = COMPUTED[type(node.op)]()
        yield f"{type(node.op).__name__} to {type(new.op).__name__}", new
    elif isinstance(node, ast.BoolOp):
        new.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{type(node.op).__name__} to {type(new.op).__name__}", new
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield f"no {type(node.op).__name__}", node.operand
    elif isinstance(node, ast.IfExp):
        new.body, new.orelse = node.orelse, node.body
        yield "if and else exchanged", new
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        new.value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value!r} to {new.value!r}", new
    elif isinstance(node, ast.Name) and node.id in CALLED:
        new.id = CALLED[node.id]
        yield f"{node.id} to {new.id}", new
    yield from shortened(node)


def shortened(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield a table's node without one of its entries, each in turn."""
    if isinstance(node, ast.Dict | ast.Set) and len(getattr(node, "elts", node.__dict__)) > 1:
        for place in range(len(node.values if isinstance(node, ast.Dict) else node.elts)):
            new = copy.copy(node)
            for name in ("keys", "values", "elts"):
                if hasattr(node, name):
                    entries = list(getattr(node, name))
                    del entries[place]
                    setattr(new, name, entries)
            yield f"no entry {place}", new


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands in its parent."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        """Have a node stand there."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def places(tree: ast.Module) -> Iterator[tuple[Place, ast.AST]]:
    """Yield every node but the first, and where it stands."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, ast.AST):
                yield Place(parent, field, None), value
            elif isinstance(value, list):
                nodes = ((i, one) for i, one in enumerate(value) if isinstance(one, ast.AST))
                yield from ((Place(parent, field, index), one) for index, one in nodes)


def left_alone(tree: ast.Module) -> set[int]:
    """Return what is no behaviour: annotations, `dataclass` arguments, messages of errors."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.AnnAssign | ast.arg):
            parts.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            parts += [node.returns, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            parts += node.decorator_list
        elif isinstance(node, ast.Assert | ast.JoinedStr):
            parts.append(node.msg if isinstance(node, ast.Assert) else node)
        found |= {id(one) for part in parts if part is not None for one in ast.walk(part)}
    return found


def mutants(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Change a tree in one place at a time; yield the line and what was changed meanwhile."""
    alone = left_alone(tree)
    for place, node in list(places(tree)):
        if id(node) in alone or not hasattr(node, "lineno"):
            continue
        for what, new in changes(node):
            place.put(ast.copy_location(new, node))
            yield node.lineno, what
        place.put(node)


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from a tree instead of its file."""

    def __init__(self, name: str, file: Path, tree: ast.Module) -> None:
        self.name, self.file, self.tree = name, file, tree

    def find_spec(
        self, fullname: str, _path: object, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the one module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Have it made as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed tree."""
        exec(compile(ast.fix_missing_locations(self.tree), str(self.file), "exec"), module.__dict__)


def tests_of(name: str) -> list[str]:
    """Return the files of unit tests of a module's own room that import it by name."""
    package, _, leaf = name.rpartition(".")
    by_name = re.compile(
        rf"^from {re.escape(name)} import|^import {re.escape(name)}\b"
        rf"|^from {re.escape(package)} import (?:\(\n)?[^()]*\b{leaf}\b",
        re.MULTILINE,
    )
    files = sorted((ROOT / "tests" / "unit" / name.split(".")[1]).rglob("test_*.py"))
    return [str(file) for file in files if by_name.search(file.read_text(encoding="utf-8"))]


def survives(name: str, file: Path, tree: ast.Module, tests: list[str]) -> bool:
    """Run the tests on a mutant in a fork; True if all of them pass."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        quiet = os.open(os.environ.get("MUTATE_OUTPUT", os.devnull), os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.meta_path.insert(0, Changed(name, file, tree))
        code = 1
        try:
            options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-W", REWRITE]
            code = pytest.main([*options, *tests])
        finally:
            os._exit(int(code))
    return os.waitpid(child, 0)[1] == 0


def core() -> list[str]:
    """Return the files of the pure core, as pyproject.toml names them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["coverage"]["run"]["include"]
    return sorted(
        str(f.relative_to(ROOT)) for p in patterns for f in ROOT.glob(p) if f.suffix == ".py"
    )


def run(path: str) -> tuple[int, int]:
    """Try every mutant of a file and print those that survive; how many there were, and did."""
    file = ROOT / path
    name = path.removesuffix(".py").replace("/", ".")
    source = file.read_text(encoding="utf-8")
    tests = tests_of(name)
    if not tests or not survives(name, file, ast.parse(source), tests):
        print(f"{path}: its tests fail, or there are none: {tests}", flush=True)
        return 0, 0
    lines = source.splitlines()
    tree = ast.parse(source)
    total = alive = 0
    for number, what in mutants(tree):
        total += 1
        if survives(name, file, tree, tests):
            alive += 1
            print(f"{path}:{number}: {what}: {lines[number - 1].strip()}", flush=True)
    print(f"{path}: {total} mutants, {alive} survive", flush=True)
    return total, alive


def main(paths: list[str]) -> int:
    """Try every mutant of every file; 1 if any survives."""
    hypothesis.settings.register_profile(
        "mutate", deadline=None, max_examples=EXAMPLES, derandomize=True, database=None
    )
    hypothesis.settings.load_profile("mutate")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(ROOT)
    results = [run(path) for path in paths or core() if not path.endswith("__init__.py")]
    total, alive = (sum(numbers) for numbers in zip(*results, strict=True))
    print(f"{total} mutants, {total - alive} noticed, {alive} survive")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
