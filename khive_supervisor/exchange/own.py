"""The format of this project: JSON Lines with a header above and a count at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from khive_supervisor.errors import InvalidInput
from khive_supervisor.exchange.fields import END, FORMAT, HEADER, fault
from khive_supervisor.exchange.model import LINE_LIMIT, FoundRecord, ReadFile
from khive_supervisor.text.plain_json import JsonObject

#: Projects that are parts of others, and kept until all others were read.
_MOST_PARTS = 100_000

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def line(record: JsonObject) -> bytes:
    """Return a record as a line."""
    return _encode(record).encode() + b"\n"


def header(store: str, release: str, at: str, complete: bool) -> JsonObject:
    """Return the first line of a file; `complete`: it holds the whole store."""
    return {
        "type": HEADER, "version": FORMAT, "release": release, "exported_at": at, "store": store,
        "complete": complete,
    }  # fmt: skip


def end(count: int) -> JsonObject:
    """Return the last line: how many records stand between it and the header."""
    return {"type": END, "records": count}


def is_own(first: bytes) -> bool:
    """Return True if a file's first line is a header of this format, of whichever number."""
    data, _ = parsed(first)
    return isinstance(data, dict) and data.get("type") == HEADER


def read(path: str, *, checked: bool = True) -> ReadFile:
    """Return what a file of this format holds; a file that was cut ends with a problem.

    The fields of records are looked at, unless not `checked`: somebody else does it.

    Raises:
        InvalidInput: no such file, or one of a later release's format.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        data, why = parsed(file.readline(LINE_LIMIT + 1))
    if not isinstance(data, dict) or data.get("type") != HEADER:
        raise InvalidInput(f"{path} is no export: its first line {why or 'is no header'}.")
    if data.get("version") != FORMAT:
        raise InvalidInput(
            f"{path} has the format {str(data.get('version'))[:20]} of release "
            f"{str(data.get('release'))[:20]}; this release reads the format {FORMAT}.",
            hint="Import it with that release or a later one.",
        )
    return ReadFile(str(data.get("store"))[:200], _records(path, checked), Counter())


def _records(path: str, checked: bool) -> Iterator[FoundRecord]:
    with open(path, "rb") as file:
        yield from _wholes_first(_counted(enumerate(lines(file), 1), fault if checked else _unseen))


def _wholes_first(found: Iterable[FoundRecord]) -> Iterator[FoundRecord]:
    """Return projects that are parts of others after these; earlier releases wrote them mixed."""
    parts: list[FoundRecord] = []
    for one in found:
        is_project = one.record.get("type") == "project"
        if not is_project or len(parts) == _MOST_PARTS:
            yield from parts
            parts = []
        if is_project and one.record.get("merged_into") is not None:
            parts.append(one)
        else:
            yield one
    yield from parts


def _unseen(record: object) -> str:
    return "" if isinstance(record, dict) else "is not an object"


def _counted(
    numbered: Iterable[tuple[int, bytes]], fault_of: Callable[[object], str]
) -> Iterator[FoundRecord]:
    """Return the records between the header and the end, which says how many there are."""
    count, ended = 0, False
    for number, text in numbered:
        where = f"line {number}"
        data, why = parsed(text)
        if ended or (number > 1 and isinstance(data, dict) and data.get("type") == HEADER):
            yield FoundRecord(where, problem="stands after the end of the export")
            return
        if isinstance(data, dict) and data.get("type") == END and not why:
            ended = True
            if data.get("records") != count:
                why = f"says {str(data.get('records'))[:20]} records, and {count} were read"
                yield FoundRecord(where, problem=why)
        elif number > 1:
            count += 1
            why = why or fault_of(data)
            record = data if isinstance(data, dict) and not why else {}
            yield FoundRecord(where, record, why)
    if not ended:
        yield FoundRecord("the end", problem="is missing: the file was cut")


def lines(file: BinaryIO) -> Iterator[bytes]:
    """Return the lines of a file; one that is longer than may be ends with its limit."""
    while text := file.readline(LINE_LIMIT + 1):
        yield text
        while len(text) > LINE_LIMIT and not text.endswith(b"\n"):
            text = file.readline(LINE_LIMIT + 1)


def parsed(text: bytes) -> tuple[object, str]:
    """Return what a line of JSON says, or why it says nothing."""
    if len(text) > LINE_LIMIT:
        return None, f"is longer than {LINE_LIMIT // 1024**2} MiB"
    return parsed_whole(text)


def parsed_whole(text: bytes) -> tuple[object, str]:
    """Return what JSON says, or why it says nothing."""
    try:
        return json.loads(text), ""
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except RecursionError:
        return None, "is nested too deep"
    except ValueError as error:
        return None, f"is not JSON: {str(error)[:80]}"
