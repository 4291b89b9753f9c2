"""docs/glossary.md says what is in the code, and what is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = {"": ROOT / "khive_supervisor", "khive_workers.": ROOT / "workers" / "khive_workers"}
TEXT = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS, RETIRED = TEXT.split("## Words that are not used any more")


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    found = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1:]]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for prefix, source in SOURCES.items():
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            yield prefix + ".".join(parts), ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(modules())


def classes(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize(("term", "place"), [(row[0], row[2].strip("`")) for row in rows(TERMS)])
def test_a_term_is_in_the_code(term: str, place: str) -> None:
    module, _, name = place.rpartition(".")
    assert place in TREES or name in classes(TREES[module]), f"{term} is not at {place}"


def test_the_terms_are_in_order_and_each_is_explained_once() -> None:
    terms = [row[0] for row in rows(TERMS)]
    assert terms == sorted(set(terms))


def names(tree: ast.Module) -> Iterator[str]:
    """What a module names: classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr


def parts(name: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


@pytest.mark.parametrize("module", sorted(TREES))
def test_no_name_has_a_word_that_is_not_used_any_more(module: str) -> None:
    retired = {word for row in rows(RETIRED) for word in row[0].split(", ")}
    used = {name for name in (*module.split("."), *names(TREES[module])) if parts(name) & retired}
    assert not used, f"docs/glossary.md says what these are called now: {', '.join(sorted(used))}"
