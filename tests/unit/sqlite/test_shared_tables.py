"""Every table is shared by the nodes of a team or one machine's own, and says which."""

from __future__ import annotations

from pathlib import Path

from khive_supervisor.sqlite.schema.shared import LOCAL, SHARED
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
