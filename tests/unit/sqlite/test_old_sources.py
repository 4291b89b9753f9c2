"""Sources of releases that had none: what an entry's source said becomes one."""

from __future__ import annotations

from pathlib import Path

import apsw

from khive_supervisor.sqlite.schema.migrations import MIGRATIONS, migrate
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry, Piece, SourceText

ROWS = [
    ("/d/a.md", "a"), ("/d/l.jsonl:12", "b"), ("/d/x:5", "c"), ("https://h/p", "d"),
    (None, "e"), ("standard input", "f"), ("standard input:3", "g"),
]  # fmt: skip


def entry(content: str, source: str | None = None) -> NewEntry:
    return NewEntry("knowledge", "local", "document", "", content, source=source)


def make_old(path: str) -> None:
    """Make a store of the release before sources, with an entry for each of `ROWS`."""
    number = next(m.number for m in MIGRATIONS if "who says" in m.purpose)
    connection = apsw.Connection(path)
    migrate(connection, MIGRATIONS[: number - 1])
    for source, content in ROWS:
        connection.execute(
            "INSERT INTO entries (collection, namespace, kind, title, content, salience, decay, "
            "source, content_hash, created_at, updated_at) "
            "VALUES ('knowledge', 'local', 'document', '', ?, 0.5, 0, ?, ?, 1, 1)",
            (content, source, entry(content).content_hash),
        )
        added = connection.last_insert_rowid()
        connection.execute(
            "INSERT INTO entries_fts (rowid, scope, title, content, tags) "
            "VALUES (?, '', '', ?, '')",
            (added, content),
        )
    connection.close()


def say(store: SqliteStore, name: str, *contents: str) -> None:
    pieces = tuple(Piece(entry(content, name)) for content in contents)
    store.sources.say(SourceText("local", name, pieces, store.sources.begin_run()))


def test_old_sources_are_known_by_their_files(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    make_old(path)
    with SqliteStore(path) as store:
        found = {one.name: one.root for one in store.sources.below("local", "/")}
        assert found == {"/d/a.md": "/", "/d/l.jsonl": "/", "/d/x:5": "/"}
        assert [one.root for one in store.sources.named("local", ["https://h/p"])] == [None]
        assert store.sources.of(2) == [("/d/l.jsonl", "line 12", None)]
        say(store, "/d/l.jsonl", "b", "new")
        say(store, "/d/a.md", "edited")
        lives = {one.content: one.source for one in store.entries.page(where=EntryFilter())}
        assert store.quick_check() == []
    assert lives["b"] == "/d/l.jsonl"
    assert set(lives) == {"b", "new", "edited", "c", "d", "e", "f", "g"}
