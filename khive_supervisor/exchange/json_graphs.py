"""server-memory's graph (JSON Lines) and mem0's export (JSON)."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator, Mapping

from khive_supervisor.errors import InvalidInput
from khive_supervisor.exchange import own
from khive_supervisor.exchange.model import FILE_LIMIT, FoundRecord, ReadFile, memory
from khive_supervisor.text.plain_json import JsonObject

_GRAPH = frozenset({"entity", "relation"})
#: What mem0's records hold beside the memory that has no place here.
_MEM0_LOST = ("user_id", "agent_id", "run_id", "app_id", "metadata", "score", "hash")
_MEM0_LISTS = ("results", "memories", "data")


def format_of(first: bytes, path: str) -> str:
    """Return which of these formats a file has by its first line; empty: none."""
    data, _ = own.parsed(first)
    if isinstance(data, dict) and data.get("type") in _GRAPH:
        return "server-memory"
    if first.lstrip()[:1] in (b"[", b"{") and os.path.getsize(path) <= FILE_LIMIT:
        with open(path, "rb") as file:
            whole, _ = own.parsed_whole(file.read())
        return "mem0" if _mem0_list(whole) is not None else ""
    return ""


# --- server-memory --------------------------------------------------------------------------------


def read_server_memory(path: str) -> ReadFile:
    """Return each observation of a graph as a memory, and each relation as a sentence."""
    lost: Counter[str] = Counter()
    return ReadFile("server-memory", _graph(path, lost), lost)


def _graph(path: str, lost: Counter[str]) -> Iterator[FoundRecord]:
    with open(path, "rb") as file:
        for number, text in enumerate(own.lines(file), 1):
            data, why = own.parsed(text)
            where = f"line {number}"
            if not text.strip():
                continue
            if why or not isinstance(data, dict):
                yield FoundRecord(where, problem=why or "is not an object")
                continue
            yield from (_named(where, one) for one in _node(data, lost))


def _named(where: str, found: JsonObject | str) -> FoundRecord:
    if isinstance(found, str):
        return FoundRecord(where, problem=found)
    return FoundRecord(where, found)


def _node(data: JsonObject, lost: Counter[str]) -> Iterator[JsonObject | str]:
    """Return the memories of one line of a graph, or what is wrong with it."""
    if data.get("type") == "entity":
        yield from _entity(data)
    elif data.get("type") == "relation":
        ends = [data.get(name) for name in ("from", "relationType", "to")]
        if not all(isinstance(one, str) and one for one in ends):
            yield "is a relation without from, relationType and to"
            return
        lost["relations became sentences"] += 1
        words = " ".join(map(str, ends)).replace("_", " ")
        yield memory(words, title=str(ends[0]), tags=["relation"])
    else:
        yield f"has the type {str(data.get('type'))[:40]!r}, which is none of a graph"


def _entity(data: JsonObject) -> Iterator[JsonObject | str]:
    name, kind, said = data.get("name"), data.get("entityType"), data.get("observations")
    if not (isinstance(name, str) and name and isinstance(said, list)):
        yield "is an entity without name and observations"
        return
    label = kind if isinstance(kind, str) and kind else "entity"
    texts = [one for one in said if isinstance(one, str) and one.strip()]
    if len(texts) < len(said):
        yield "has an observation that is no text"
    for one in texts:
        yield memory(f"{name}: {one}", title=name, tags=[label])
    if not said:
        yield memory(f"{name} is a {label}.", title=name, tags=[label])


# --- mem0 -----------------------------------------------------------------------------------------


def read_mem0(path: str) -> ReadFile:
    """Return each memory of an export of mem0, with its dates and categories.

    Raises:
        InvalidInput: it is too large, or no list of memories.
    """
    if os.path.getsize(path) > FILE_LIMIT:
        raise InvalidInput(f"{path} is larger than {FILE_LIMIT // 1024**2} MiB.")
    with open(path, "rb") as file:
        data, why = own.parsed_whole(file.read())
    found = _mem0_list(data)
    if found is None:
        raise InvalidInput(f"{path} is no export of mem0: it {why or 'has no list of memories'}.")
    lost: Counter[str] = Counter()
    return ReadFile("mem0", _mem0(found, lost), lost)


def _mem0_list(data: object) -> list[object] | None:
    """Return the list of memories of an export, in whichever of its forms."""
    if isinstance(data, dict):
        data = next((data[name] for name in _MEM0_LISTS if isinstance(data.get(name), list)), None)
    if not isinstance(data, list):
        return None
    ours = any(isinstance(one, dict) and _mem0_text(one) for one in data[:100])
    return data if ours else None


def _mem0_text(item: Mapping[str, object]) -> str:
    found = item.get("memory") or item.get("data") or item.get("text")
    return found if isinstance(found, str) else ""


def _mem0(items: list[object], lost: Counter[str]) -> Iterator[FoundRecord]:
    for number, item in enumerate(items, 1):
        where = f"memory {number}"
        if not isinstance(item, dict) or not _mem0_text(item).strip():
            yield FoundRecord(where, problem="has no text under memory")
            continue
        lost.update(name for name in _MEM0_LOST if item.get(name))
        labels = item.get("categories")
        tags = [one for one in labels if isinstance(one, str)] if isinstance(labels, list) else []
        made = moment(item.get("created_at"))
        yield FoundRecord(where, memory(_mem0_text(item), tags=tags, created_at=made))


def moment(value: object) -> float | None:
    """Return a time as others write it (ISO 8601, or seconds or milliseconds) in unix seconds."""
    try:
        if isinstance(value, str):
            found = dt.datetime.fromisoformat(value.strip())
            return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if value > 1e11 else float(value)
            return dt.datetime.fromtimestamp(seconds, dt.UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return None
