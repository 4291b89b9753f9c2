"""claude-mem's database: its observations and the summaries of its sessions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from khive_supervisor.errors import InvalidInput
from khive_supervisor.exchange.json_graphs import moment
from khive_supervisor.exchange.model import FoundRecord, ReadFile, memory
from khive_supervisor.text import wellformed
from khive_supervisor.text.plain_json import JsonObject

Row = Mapping[str, object]
#: Asks a SQLite file, and returns the rows by the names of their columns.
Rows = Callable[[str, str], Iterator[Row]]

#: Columns of a summary that are said one after another.
_SUMMARY = ("request", "investigated", "learned", "completed", "next_steps", "notes")
#: Tables that have no place here.
_LOST = {"user_prompts": "prompts of users", "pending_messages": "messages that wait for a model"}


def read(path: str, rows: Rows) -> ReadFile:
    """Return observations and summaries as memories; claude-mem's file is only read.

    Raises:
        InvalidInput: it is no database of claude-mem, or cannot be read.
    """
    tables = {str(row["name"]) for row in rows(path, "SELECT name FROM sqlite_schema")}
    if "observations" not in tables:
        raise InvalidInput(f"{path} is no database of claude-mem: it has no observations.")
    lost: Counter[str] = Counter()
    for table, what in _LOST.items():
        if table in tables:
            (row,) = rows(path, f"SELECT count(*) AS many FROM {table}")  # noqa: S608 - ours
            lost[what] += int(str(row["many"]))
    return ReadFile("claude-mem", _all(path, rows, tables, lost), lost)


def _all(path: str, rows: Rows, tables: set[str], lost: Counter[str]) -> Iterator[FoundRecord]:
    for row in rows(path, "SELECT * FROM observations ORDER BY id"):
        yield _found(f"observation {row['id']}", _observation(row), row, lost)
    if "session_summaries" in tables:
        for row in rows(path, "SELECT * FROM session_summaries ORDER BY id"):
            yield _found(f"summary {row['id']}", _summary(row), row, lost)


def _found(where: str, record: JsonObject | None, row: Row, lost: Counter[str]) -> FoundRecord:
    if record is None:
        return FoundRecord(where, problem="says nothing")
    if _listed(row.get("files_read")) or _listed(row.get("files_modified")):
        lost["lists of files that were read and changed"] += 1
    return FoundRecord(where, record)


def _observation(row: Row) -> JsonObject | None:
    facts = [f"- {one}" for one in _listed(row.get("facts"))]
    texts = [_text(row, "narrative") or _text(row, "text"), "\n".join(facts)]
    title = _text(row, "title")
    content = "\n\n".join(filter(None, [_text(row, "subtitle"), *texts])) or title
    if not content:
        return None
    tags = [_text(row, "type"), *_listed(row.get("concepts")), _text(row, "project")]
    return memory(content, title=title, tags=tags, source="claude-mem", created_at=_made(row))


def _summary(row: Row) -> JsonObject | None:
    parts = [f"{n.replace('_', ' ').capitalize()}: {_text(row, n)}" for n in _SUMMARY
             if _text(row, n)]  # fmt: skip
    if not parts:
        return None
    record = memory(
        "\n\n".join(parts), title=_text(row, "request"), tags=["summary", _text(row, "project")],
        source="claude-mem", created_at=_made(row),
    )  # fmt: skip
    return {**record, "kind": "episodic", "salience": 0.3, "decay": 0.02}


def _text(row: Row, name: str) -> str:
    found = row.get(name)
    return found.strip() if isinstance(found, str) else ""


def _made(row: Row) -> float | None:
    return moment(row.get("created_at_epoch")) or moment(row.get("created_at"))


def _listed(value: object) -> list[str]:
    """Return a column's list of texts, which claude-mem keeps as JSON."""
    try:
        found = json.loads(wellformed.json_escapes(value)) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
