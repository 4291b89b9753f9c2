"""SQL stands where it belongs: SQLite's in `sqlite/`, PostgreSQL's where the server is asked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support import ROOT

from khive_supervisor.sqlite.schema.shared import LOCAL, SHARED

#: What a statement begins with; in capitals, as all of ours are written.
STATEMENT = re.compile(
    r"\s*(SELECT |INSERT (OR \w+ )?INTO |UPDATE \S+ (AS \w+ )?SET |DELETE FROM |PRAGMA |ATTACH |"
    r"WITH \w+ AS|VACUUM$|CREATE (TEMP |UNIQUE )?(TABLE|INDEX|TRIGGER) |DROP (TABLE|INDEX|SCHEMA) )"
)
#: What is SQLite's alone: a table of its schema, and its own statements. A team's are in `khive.`.
OF_SQLITE = re.compile(
    rf"\b(FROM|INTO|UPDATE|JOIN) (main\.|old\.)?({'|'.join(sorted(SHARED | LOCAL))})\b|"
    r"^(PRAGMA|ATTACH|VACUUM)"
)
#: Reads what another program has in its own database.
OTHERS = {"khive_supervisor/exchange/claude_mem.py"}
FILES = sorted(
    file.relative_to(ROOT)
    for tree in ("khive_supervisor", "workers/khive_workers")
    for file in (ROOT / tree).rglob("*.py")
    if "sqlite" not in file.parts and str(file.relative_to(ROOT)) not in OTHERS
)


def statements(tree: ast.AST) -> Iterator[str]:
    """Give what looks like a statement; what is filled into one counts as nothing."""
    inner = {
        id(one) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for one in node.values
    }
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(one.value) for one in node.values if isinstance(one, ast.Constant))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if STATEMENT.match(text):
            yield text


def misplaced(file: Path, text: str) -> list[str]:
    of_the_server = {"team", "replicator"} & set(file.parts) and file.parts[0] == "workers"
    found = statements(ast.parse(text))
    return [one for one in found if not of_the_server or OF_SQLITE.search(one)]


def test_statements_stand_where_they_belong() -> None:
    found = {file: misplaced(file, (ROOT / file).read_text(encoding="utf-8")) for file in FILES}
    assert {file: statements for file, statements in found.items() if statements} == {}


def test_what_is_misplaced_is_found() -> None:
    team = Path("workers/khive_workers/team/x.py")
    for text in ("SELECT 1 FROM entries", "DELETE FROM roles", "PRAGMA foreign_keys = OFF"):
        assert misplaced(team, f"ask({text!r})") == [text]
    assert misplaced(team, "ask('SELECT number FROM khive.head')") == []
    assert misplaced(Path("khive_supervisor/x.py"), "ask('SELECT number FROM khive.head')")
