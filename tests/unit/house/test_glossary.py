"""docs/glossary.md says what is in the code, and what is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from support import ROOT
from test_layers import trees

TEXT = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS, RETIRED = TEXT.split("## Words that are not used any more")


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    found = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1:]]


def classes(tree: ast.Module) -> set[str]:
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def is_there(place: str) -> bool:
    module, _, name = place.rpartition(".")
    return place in trees() or (module in trees() and name in classes(trees()[module]))


def test_every_term_is_in_the_code() -> None:
    places = [row[2].strip("`") for row in rows(TERMS)]
    whole = [p if p.startswith("khive_workers.") else f"khive_supervisor.{p}" for p in places]
    assert [place for place in whole if not is_there(place)] == []


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


def test_no_name_has_a_word_that_is_not_used_any_more() -> None:
    retired = {word for row in rows(RETIRED) for word in row[0].split(", ")}
    used = [
        f"{module}: {name}"
        for module, tree in trees().items()
        for name in sorted({*module.split("."), *names(tree)})
        if parts(name) & retired
    ]
    assert used == [], "docs/glossary.md says what these are called now"
