"""The records of an export: the fields of each, and what is wrong with one. Pure."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping

from khive_supervisor.tasks.model import OUTCOMES

#: The number of the format. It grows when a reader of the one before would read something wrong.
FORMAT = 1
HEADER, END = "khive-export", "end"
#: A number of the store: SQLite's are of 64 bits.
_LARGEST = 2**63 - 1

_TEXT, _WHOLE, _NUMBER, _TEXTS, _DATA = "text", "whole number", "number", "list of texts", "object"
_BASE64, _HEX, _PAIRS = "base64", "hexadecimal digits", "list of pairs of texts"
#: Of each type of record its fields; a name that ends with `?` may be missing.
FIELDS: Mapping[str, Mapping[str, str]] = {
    "entry": {
        "collection": _TEXT, "namespace?": _TEXT, "kind": _TEXT, "content": _TEXT, "id?": _WHOLE,
        "title?": _TEXT, "tags?": _TEXTS, "salience?": _NUMBER, "decay?": _NUMBER,
        "source?": _TEXT, "created_at?": _NUMBER, "updated_at?": _NUMBER, "deleted_at?": _NUMBER,
        "superseded_by?": _WHOLE, "pinned_at?": _NUMBER, "model?": _TEXT, "vector?": _BASE64,
        "project?": _WHOLE, "branch?": _TEXT, "commit?": _TEXT, "valid_from?": _NUMBER,
        "valid_until?": _NUMBER, "provenance?": _DATA,
    },
    "project": {
        "id": _WHOLE, "name": _TEXT, "created_at": _NUMBER, "merged_into?": _WHOLE,
        "roots_at?": _NUMBER, "marks": _PAIRS, "candidates": _TEXTS, "roots": _TEXTS,
    },
    "link": {
        "from": _WHOLE, "to": _WHOLE, "kind": _TEXT, "created_at": _NUMBER, "by": _TEXT,
        "ended_at?": _NUMBER, "valid_from?": _NUMBER, "valid_until?": _NUMBER,
    },
    "reference": {
        "entry": _WHOLE, "root": _TEXT, "path": _TEXT, "created_at": _NUMBER, "name?": _TEXT,
        "value?": _TEXT, "blob?": _TEXT, "commit?": _TEXT,
    },
    "execution": {
        "entry": _WHOLE, "attempt": _WHOLE, "role": _TEXT, "task_type": _TEXT, "outcome": _TEXT,
        "cost": _WHOLE, "tokens": _WHOLE, "seconds": _NUMBER, "digest": _TEXT,
        "payload_digest": _TEXT, "session": _TEXT, "diff": _TEXT, "files": _TEXTS,
        "began_at": _NUMBER, "ended_at": _NUMBER, "error?": _TEXT, "quality?": _NUMBER,
    },
    "supersession": {"entry": _WHOLE, "by": _WHOLE},
    "source": {
        "namespace": _TEXT, "name": _TEXT, "run": _WHOLE, "learned_at": _NUMBER,
        "options": _TEXT, "root?": _TEXT, "digest?": _HEX, "project?": _WHOLE,
    },
    "said": {
        "entry": _WHOLE, "namespace": _TEXT, "name": _TEXT, "run": _WHOLE, "locator": _TEXT,
        "said_at": _NUMBER, "gone_at?": _NUMBER, "place?": _WHOLE,
    },
    "profile": {
        "name": _TEXT, "description": _TEXT, "consumer_kind": _TEXT, "lifecycle": _TEXT,
        "builtin": _WHOLE, "epoch": _WHOLE, "events": _WHOLE, "created_at": _NUMBER,
        "updated_at": _NUMBER, "weights": _DATA,
    },
    "binding": {
        "profile": _TEXT, "actor": _TEXT, "namespace": _TEXT, "consumer_kind": _TEXT,
        "priority": _WHOLE, "created_at": _NUMBER,
    },
    "target": {
        "profile": _TEXT, "entry": _WHOLE, "alpha": _NUMBER, "beta": _NUMBER, "events": _WHOLE,
    },
    "mass": {
        "profile": _TEXT, "entry": _WHOLE, "source": _TEXT, "mass": _NUMBER, "at": _NUMBER,
    },
    "event": {
        "seq": _WHOLE, "profile": _TEXT, "at": _NUMBER, "kind": _TEXT, "weight": _NUMBER,
        "counted": _NUMBER, "actor": _TEXT, "namespace": _TEXT, "session": _TEXT,
        "signal?": _TEXT, "entry?": _WHOLE, "scorer_run?": _TEXT, "serve?": _TEXT,
        "detail?": _DATA,
    },
}  # fmt: skip


_NAMES = {t: {n.rstrip("?"): k for n, k in of.items()} for t, of in FIELDS.items()}
_REQUIRED = {t: [n for n in of if not n.endswith("?")] for t, of in FIELDS.items()}


def fault(record: object) -> str:
    """Return what is wrong with a record, as the end of a sentence; empty: nothing."""
    if not isinstance(record, dict):
        return "is not an object"
    known = FIELDS.get(str(record.get("type")))
    if known is None:
        return f"has the type {str(record.get('type'))[:40]!r}, which is not one of an export"
    names = _NAMES[record["type"]]
    for name in _REQUIRED[record["type"]]:
        if name not in record:
            return f"is of the type {record['type']} and has no {name}"
    for name, value in record.items():
        kind = names.get(name, "")
        # What nearly all values are, without a call: a file has a million of them.
        if kind is _TEXT and type(value) is str and value.isascii():
            continue
        if kind is _NUMBER and type(value) is float and 0 <= value < _LARGEST:
            continue
        if name != "type" and not _is(kind, value):
            return f"has a {name[:40]} that is no {names.get(name) or 'field of an export'}"
    return _contradiction(record)


def _is(kind: str, value: object) -> bool:
    """Return True if a value is of a kind of field."""
    if kind in (_TEXT, _BASE64, _HEX):
        plain = kind == _TEXT and isinstance(value, str) and value.isascii()
        return plain or (isinstance(value, str) and _encodes(kind, value))
    if kind == _WHOLE:
        return type(value) is int and -_LARGEST <= value <= _LARGEST
    if kind == _NUMBER:
        return type(value) in (int, float) and math.isfinite(float(str(value)))
    if kind == _TEXTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind == _PAIRS:
        return isinstance(value, list) and all(_is(_TEXTS, v) and len(v) == 2 for v in value)
    return kind == _DATA and isinstance(value, dict)


def _encodes(kind: str, value: str) -> bool:
    try:
        if kind == _BASE64:
            base64.b64decode(value, validate=True)
        elif kind == _HEX:
            bytes.fromhex(value)
        else:
            value.encode()
    except (binascii.Error, ValueError):
        return False
    return True


def _contradiction(record: Mapping[str, object]) -> str:
    """Return why fields that are right by themselves cannot stand together."""
    if ("vector" in record) != ("model" in record):
        return "has a vector without its model, or a model without a vector"
    if record["type"] == "entry":
        return _entry_fault(record)
    if record["type"] == "execution":
        return _execution_fault(record)
    weights = record.get("weights")
    if isinstance(weights, dict) and not all(map(_is_weight, weights.values())):
        return "has weights that are not four numbers above 0 each"
    return ""


def _entry_fault(record: Mapping[str, object]) -> str:
    if record["collection"] not in ("memory", "knowledge", "execution"):
        return "has a collection that is neither memory, knowledge nor execution"
    salience, decay = record.get("salience", 0), record.get("decay", 0)
    if not (isinstance(salience, int | float) and 0 <= salience <= 1):
        return "has a salience that is not between 0 and 1"
    return "" if isinstance(decay, int | float) and decay >= 0 else "has a decay below 0"


def _execution_fault(record: Mapping[str, object]) -> str:
    if record["outcome"] not in OUTCOMES:
        return f"has an outcome that is none of {', '.join(OUTCOMES)}"
    quality = record.get("quality", 0)
    right = isinstance(quality, int | float) and 0 <= quality <= 1
    return "" if right else "has a quality that is not between 0 and 1"


def _is_weight(numbers: object) -> bool:
    if not isinstance(numbers, list) or len(numbers) != 4:
        return False
    return all(_is(_NUMBER, one) and one > 0 for one in numbers)
