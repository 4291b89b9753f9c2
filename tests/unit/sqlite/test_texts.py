"""Every column of text says what it holds, and no secret gets into any that may have one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from secret_texts import SECRET

from khive_supervisor.sqlite.engine.text_guard import TextGuard
from khive_supervisor.sqlite.schema import texts
from khive_supervisor.sqlite.schema.texts import TEXTS, Holds
from khive_supervisor.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


def columns_of_text(store: SqliteStore) -> dict[str, set[str]]:
    """Return the columns of text of all tables but those that FTS5 keeps for itself."""
    rows = store.database.rows(
        "SELECT tables.name, columns.name FROM pragma_table_list AS tables "
        "JOIN pragma_table_info(tables.name) AS columns "
        "WHERE tables.type IN ('table', 'virtual') AND tables.schema = 'main' "
        "AND (columns.type IN ('TEXT', 'ANY') OR tables.name = 'entries_fts' "
        "AND columns.name <> 'entries_fts') AND tables.name NOT LIKE 'sqlite_%'"
    )
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


def test_rows_with_anybodys_text_have_a_number(store: SqliteStore) -> None:
    """Where a secret is found is told by it, and masked by it."""
    found = list(store.purges.secrets())
    assert (found, store.purges.holders(b"zyzzyva")) == ([], [])


def test_every_column_of_text_says_what_it_holds(store: SqliteStore) -> None:
    found = {
        t: c
        for t, c in columns_of_text(store).items()
        if not t.endswith(("_terms", "_occurrences"))
    }
    declared = {table: set(columns) for table, columns in TEXTS.items()}
    hint = "say in sqlite/schema/texts.py what a new column holds, and let it pass the gate"
    assert found == declared, hint


@pytest.mark.parametrize("column", texts.kept_texts(), ids=".".join)
def test_no_secret_gets_into_a_column(store: SqliteStore, column: tuple[str, str]) -> None:
    """Whatever a statement forgets, what is bound to it is masked on its way."""
    table, name = column
    text = f"it is {SECRET}"
    guard = TextGuard(store.database.gate)
    for sql in (
        f"INSERT INTO {table} ({name}) VALUES (?)",
        f"INSERT OR REPLACE INTO {table} ({name}) VALUES (?)",
        f"UPDATE {table} SET {name} = ?",
        f"UPDATE OR REPLACE {table} SET {name} = ?",
    ):
        assert guard(sql, [text, 1, None]) == ["it is [masked github-token]", 1, None]
    assert guard(f"SELECT 1 FROM {table} WHERE {name} = ?", [text]) == [text]


def test_a_table_that_nobody_has_declared_is_guarded(store: SqliteStore) -> None:
    store.database.rows("CREATE TABLE notes (text TEXT)")
    store.database.rows("INSERT INTO notes VALUES (?)", [f"it is {SECRET}"])
    assert store.database.value("SELECT text FROM notes") == "it is [masked github-token]"


def test_what_is_ours_alone_is_not_looked_at() -> None:
    ours = {t for t, columns in TEXTS.items() if set(columns.values()) == {Holds.OURS}}
    assert not any(map(texts.is_guarded, ours))
    assert {"generations", "models", "changes"} <= ours


def test_each_statement_that_writes_begins_with_what_it_does() -> None:
    """The guard goes by the first words: a statement that writes further on would pass it."""
    for file in (ROOT / "khive_supervisor" / "sqlite").rglob("*.py"):
        assert "WITH " not in file.read_text("utf-8").replace("WITHOUT ", ""), file
