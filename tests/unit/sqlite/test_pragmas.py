"""Every pragma that the source names is set on every connection, to its value."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from khive_supervisor.sqlite.engine import connection
from khive_supervisor.sqlite.engine.connection import CACHE_KIB
from khive_supervisor.sqlite.store import SqliteStore

VALUES: dict[str, object] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "temp_store": 2,
    "mmap_size": 0,
    "cache_size": -CACHE_KIB,
    "wal_autocheckpoint": 4000,
    "journal_size_limit": 64 * 2**20,
    "secure_delete": 2,
}
SOURCE = inspect.getsource(connection)


@pytest.mark.parametrize("pragma", VALUES)
def test_a_connection_has_it(tmp_path: Path, pragma: str) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        found = store.database.value(f"PRAGMA {pragma}")
    # A connection without mapping answers with no row at all.
    assert found == VALUES[pragma] or (pragma == "mmap_size" and found is None)


def test_each_that_is_named_has_its_value_here() -> None:
    assert set(re.findall(r"PRAGMA (\w+) =", SOURCE)) == set(VALUES)


def test_each_function_that_sets_one_is_called_and_says_why() -> None:
    functions = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.FunctionDef)]
    setting = [one for one in functions if "PRAGMA" in ast.unparse(one.body[1:])]
    called = {node.func.id for node in ast.walk(ast.parse(SOURCE))
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
    called |= {function.__name__ for function in connection.SETTINGS}
    assert len(setting) > 5
    for one in setting:
        assert one.name in called, f"{one.name} is in nobody's SETTINGS"
        assert ast.get_docstring(one)
