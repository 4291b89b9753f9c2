"""Every table is shared by the nodes of a team or one machine's own, and says which."""

from __future__ import annotations

import re
from pathlib import Path

import khive_supervisor.sqlite as package
from khive_supervisor.sqlite.schema.shared import COUNTED_TOGETHER, LOCAL, SHARED
from khive_supervisor.sqlite.store import SqliteStore


def test_every_table_is_declared_shared_or_local(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        rows = store.database.rows(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' "
            "AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite_%'"
        )
        keyed = store.database.rows(
            "SELECT DISTINCT tables.name FROM pragma_table_list AS tables "
            "JOIN pragma_table_info(tables.name) AS columns WHERE columns.pk > 0"
        )
    assert not SHARED & LOCAL
    hint = "declare it in sqlite/schema/shared.py: does it speak of this machine only?"
    assert {name for (name,) in rows} == SHARED | LOCAL, hint
    # A change of a row travels with its primary key; without one, it would not travel at all.
    assert {name for (name,) in keyed} >= SHARED


def test_no_shared_table_is_emptied_at_a_stroke() -> None:
    """A DELETE without a condition that was prepared unrecorded removes rows without a word."""
    bare = re.compile(r'"DELETE FROM (\w+)"')
    sources = (path.read_text() for path in Path(package.__file__).parent.rglob("*.py"))
    emptied = {table for source in sources for table in bare.findall(source)}
    assert not emptied & (SHARED | COUNTED_TOGETHER), 'add "WHERE true"'
