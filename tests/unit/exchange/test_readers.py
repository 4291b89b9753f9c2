"""Files of other programs and of this one: what they become, what is lost, what is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from khive_supervisor.errors import InvalidInput
from khive_supervisor.exchange import own, reading
from khive_supervisor.exchange.fields import fault
from khive_supervisor.exchange.model import LINE_LIMIT, FoundRecord
from khive_supervisor.sqlite.curation.foreign import rows

ENTRY = {"type": "entry", "collection": "memory", "kind": "semantic", "content": "c", "id": 1}


def read(path: Path, form: str = "auto") -> tuple[str, list[FoundRecord], dict[str, int]]:
    known, found = reading.read(str(path), form, rows)
    records = list(found.records)
    assert not [one for one in records if not one.problem and fault(one.record)]
    return known, records, dict(found.lost)


def contents(records: list[FoundRecord]) -> list[str]:
    return [str(one.record["content"]) for one in records if not one.problem]


def problems(records: list[FoundRecord]) -> list[str]:
    return [f"{one.where} {one.problem}" for one in records if one.problem]


def whole(*records: Any, count: int | None = None) -> bytes:
    head = own.header("ab", "0.4.0", "2026-11-29T00:00:00Z", complete=True)
    number = len(records) if count is None else count
    lines = [head, *records, own.end(number)]
    return b"".join(own.line(one) for one in lines)


# --- its own --------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(whole(ENTRY, ENTRY))
    known, records, _ = read(tmp_path / "a")
    assert known == "jsonl"
    assert [one.record for one in records] == [ENTRY, ENTRY]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (whole(ENTRY, ENTRY).rsplit(b"\n", 2)[0], "the file was cut"),
        (whole(ENTRY, ENTRY)[:-30], "is not JSON"),
        (whole(ENTRY, count=2), "says 2 records, and 1 were read"),
        (whole(ENTRY) + b"{}\n", "stands after the end"),
        (whole(ENTRY).replace(b'"c"', b'"\xff"'), "is not UTF-8"),
        (whole({**ENTRY, "id": "1"}), "has a id that is no whole number"),
        (whole({"type": "x"}), "not one of an export"),
        (whole([1]), "is not an object"),
        (whole(ENTRY).replace(b'"c"', b"[" * 100_000), "nested too deep"),
        (whole({**ENTRY, "content": "x" * LINE_LIMIT}), "is longer than 8 MiB"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(
    tmp_path: Path, data: bytes, why: str
) -> None:
    (tmp_path / "a").write_bytes(data)
    _, records, _ = read(tmp_path / "a")
    assert why in " ".join(problems(records))


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    head = {**own.header("ab", "9.0.0", "", complete=True), "version": 2}
    (tmp_path / "a").write_bytes(own.line(head) + own.line(own.end(0)))
    with pytest.raises(InvalidInput, match=r"format 2 of release 9\.0\.0"):
        read(tmp_path / "a")


# --- others ---------------------------------------------------------------------------------------


def test_a_graph_of_server_memory(tmp_path: Path) -> None:
    lines = [
        {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["likes tea"]},
        {"type": "entity", "name": "Shop", "entityType": "project", "observations": []},
        {"type": "relation", "from": "Ada", "to": "Shop", "relationType": "works_on"},
        {"type": "relation", "from": "Ada"},
        {"type": "entity", "name": "Ada"},
    ]
    (tmp_path / "m.json").write_text("\n".join(map(json.dumps, lines)) + '\n{"type": "ent')
    known, records, lost = read(tmp_path / "m.json")
    assert known == "server-memory"
    assert contents(records) == ["Ada: likes tea", "Shop is a project.", "Ada works on Shop"]
    assert records[0].record["tags"] == ["person"]
    assert [one.partition(" is ")[0] for one in problems(records)] == ["line 4", "line 5", "line 6"]
    assert lost == {"relations became sentences": 1}


NOTE = """---
title: Coffee
type: note
permalink: drinks/coffee
tags:
- drink
---

# Coffee

Made with care.

## Observations
- [method] Pour over is best #brewing (tested)
- [ ] buy beans

## Relations
- pairs_with [[Chocolate]]
- [[Tea]]
"""


def test_notes_of_basic_memory(tmp_path: Path) -> None:
    (tmp_path / "coffee.md").write_text(NOTE)
    for path in (tmp_path, tmp_path / "coffee.md"):
        known, records, lost = read(path)
        assert known == "basic-memory"
        assert contents(records) == [
            "Coffee: Pour over is best (tested)", "Coffee pairs with Chocolate",
            "Coffee relates to Tea", "Made with care.", "- [ ] buy beans",
        ]  # fmt: skip
        assert records[0].record["tags"] == ["method", "brewing", "drink"]
        assert {one.record["source"] for one in records} == {"drinks/coffee"}
        assert lost == {"relations became sentences": 2}


@pytest.mark.parametrize("form", ["list", "results", "memories"])
def test_an_export_of_mem0(tmp_path: Path, form: str) -> None:
    items = [
        {"id": "1", "memory": "Likes tea", "user_id": "ada", "categories": ["food"],
         "created_at": "2025-01-02T03:04:05-08:00"},
        {"memory": ""},
    ]  # fmt: skip
    data = items if form == "list" else {form: items}
    (tmp_path / "m.json").write_text(json.dumps(data, indent=2))
    known, records, lost = read(tmp_path / "m.json", "mem0")
    assert (known, contents(records)) == ("mem0", ["Likes tea"])
    assert records[0].record["created_at"] == 1735815845.0
    assert lost == {"user_id": 1}
    assert problems(records) == ["memory 2 has no text under memory"]


def test_claudes_own_memory(tmp_path: Path) -> None:
    (tmp_path / "MEMORY.md").write_text("- [Port](port.md) - the port\n\n# Style\n\nShort words.\n")
    note = '---\nname: port\ndescription: "The port is 9090"\ntype: project\n---\n\nSince May.\n'
    (tmp_path / "port.md").write_text(note)
    known, records, lost = read(tmp_path)
    assert (known, contents(records)) == (
        "claude",
        ["Short words.", "The port is 9090\n\nSince May."],
    )
    assert records[1].record["tags"] == ["project"]
    assert lost == {"lines of an index that name other files": 1}


def test_instructions_for_agents(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(
        "# Build\n\nUse make.\n@docs/more.md\n\n# Test\n\nUse it.\n"
    )
    known, records, lost = read(tmp_path / "AGENTS.md")
    assert (known, contents(records)) == ("claude", ["Use make.", "Use it."])
    assert lost == {"lines that bring other files in (@file)": 1}


def test_markdown_and_what_a_folder_links_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("# Secret\n\nnot mine\n")
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "a.md").write_text("# A\n\ntext\n")
    (folder / "link.md").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    known, records, lost = read(folder)
    assert (known, contents(records)) == ("markdown", ["text"])
    assert problems(records) == []
    assert lost == {"links to other files": 1}


@pytest.mark.parametrize("name", ["CLAUDE.md", "note.md", "link"])
def test_a_path_that_is_a_link_is_what_it_leads_to(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "AGENTS.md").write_text("---\npermalink: x\n---\n# Build\n\nUse make.\n")
    (tmp_path / name).symlink_to(folder if name == "link" else folder / "AGENTS.md")
    known, records, _ = read(tmp_path / name)
    assert known == ("basic-memory" if name == "note.md" else "claude")
    assert any("Use make." in one for one in contents(records))
    assert problems(records) == []


@pytest.fixture
def claude_mem(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "claude-mem.db"
    connection = apsw.Connection(str(path))
    connection.execute(
        """
        PRAGMA journal_mode = WAL;
        CREATE TABLE observations (id INTEGER PRIMARY KEY, memory_session_id TEXT, project TEXT,
            text TEXT, type TEXT, title TEXT, subtitle TEXT, facts TEXT, narrative TEXT,
            concepts TEXT, files_read TEXT, files_modified TEXT, created_at TEXT,
            created_at_epoch INTEGER);
        CREATE TABLE session_summaries (id INTEGER PRIMARY KEY, project TEXT, request TEXT,
            learned TEXT, notes TEXT, created_at TEXT, created_at_epoch INTEGER);
        CREATE TABLE user_prompts (id INTEGER PRIMARY KEY, prompt_text TEXT);
        INSERT INTO observations VALUES (1, 's', 'shop', NULL, 'decision', 'Port', 'moved',
            '["The port is 9090"]', 'We moved.', '["ports"]', '["a.py"]', '[]', '', 1735815845000);
        INSERT INTO observations (id, type) VALUES (2, 'x');
        INSERT INTO session_summaries VALUES (1, 'shop', 'Move it', 'It moves.', NULL, '',
            1735815845000);
        INSERT INTO user_prompts VALUES (1, 'please');
        """
    ).fetchall()
    yield path
    connection.close()


def test_the_database_of_claude_mem_is_only_read(claude_mem: Path) -> None:
    before = claude_mem.read_bytes()
    known, records, lost = read(claude_mem)
    assert known == "claude-mem"
    assert contents(records) == [
        "moved\n\nWe moved.\n\n- The port is 9090", "Request: Move it\n\nLearned: It moves.",
    ]  # fmt: skip
    assert records[0].record["tags"] == ["decision", "ports", "shop"]
    assert records[0].record["created_at"] == 1735815845.0
    assert problems(records) == ["observation 2 says nothing"]
    assert lost == {"prompts of users": 1, "lists of files that were read and changed": 1}
    assert claude_mem.read_bytes() == before


def test_another_database_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE t (a)").fetchall()
    connection.close()
    with pytest.raises(InvalidInput, match="no database of claude-mem"):
        read(tmp_path / "x.db")
    (tmp_path / "y.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(InvalidInput, match="cannot be read as a SQLite database"):
        read(tmp_path / "y.db")


def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("words")
    with pytest.raises(InvalidInput, match="no format that is known"):
        read(tmp_path / "x.txt")
    with pytest.raises(InvalidInput, match="There is no"):
        read(tmp_path / "nothing")


def test_projects_that_are_parts_come_after_what_they_are_parts_of(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    projects = [
        {"type": "project", "id": number, "name": "p", "created_at": 1.0, "marks": [],
         "candidates": [], "roots": [], **({} if number == 3 else {"merged_into": 3})}
        for number in (1, 2, 3)
    ]  # fmt: skip
    entry = {"type": "entry", "collection": "memory", "kind": "semantic", "content": "x"}
    head = own.header("ab", "0.9.0", "2026-11-29T00:00:00Z", complete=True)
    path.write_bytes(b"".join(map(own.line, [head, *projects, entry, own.end(4)])))
    _, records, _ = read(path)
    assert problems(records) == []
    assert [one.record.get("id") for one in records] == [3, 1, 2, None]
