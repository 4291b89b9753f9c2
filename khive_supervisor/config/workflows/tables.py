"""`[[workflows]]`: graphs of tasks under a name, and when each runs by itself.

A workflow has whatever payloads its roles take, so its keys are read by `workflows.definitions`;
only the user's own file may have any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial

from khive_supervisor.config.settings.notes import Notes, read_tables
from khive_supervisor.config.settings.values import quoted
from khive_supervisor.errors import InvalidInput
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.definitions import (
    DEFINITION_KEYS,
    STEP_KEYS,
    Definition,
    as_dict,
    read,
)
from khive_supervisor.workflows.model import CATCH_UPS, POLICIES, STEPS_LIMIT

#: Workflows of one configuration.
MAX_WORKFLOWS = 100


def read_workflows(content: object, notes: Notes) -> tuple[Definition, ...]:
    """Return the workflows that are valid; whatever is not is noted."""
    read_ones = read_tables(
        "workflows", "workflow", MAX_WORKFLOWS, content, notes, partial(_read, notes)
    )
    found = [one for one in read_ones if one is not None]
    _note_doubles(found, notes)
    return tuple(found)


def _read(notes: Notes, place: str, content: object) -> Definition | None:
    try:
        found = read(content)
        if found.every:
            schedules.check(found.every, found.zone)
    except InvalidInput as error:
        notes.note(place, place, error.message.removesuffix("."))
        return None
    return found


def _note_doubles(found: Iterable[Definition], notes: Notes) -> None:
    seen: set[str] = set()
    for one in found:
        if one.name in seen:
            notes.note("workflows", "workflows", f"two workflows of one name, {quoted(one.name)}")
        seen.add(one.name)


def workflows_as_toml(found: Iterable[Definition]) -> list[str]:
    """Return a table for each workflow, as a configuration file has it."""
    return ["\n".join(["[[workflows]]", *_lines(as_dict(one))]) for one in found]


def _lines(table: JsonObject) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in table.items()]


def _toml(value: object) -> str:
    """Return a value as TOML on one line; TOML has no null, so what is none is left out."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(n)} = {_toml(v)}" for n, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value if one is not None)}]"
    return json.dumps(value)


def workflows_schema() -> JsonObject:
    """Return the JSON Schema of the list, for editors."""
    text: JsonObject = {"type": "string"}
    step = {name: dict[str, object]() for name in STEP_KEYS}
    step |= {"name": text, "role": text, "task_type": text, "each": text}
    step["on_failure"] = {"enum": list(POLICIES)}
    steps = {
        "type": "array",
        "minItems": 1,
        "maxItems": STEPS_LIMIT,
        "items": {"type": "object", "properties": step, "additionalProperties": False},
    }
    keys: JsonObject = dict.fromkeys(DEFINITION_KEYS, text)
    keys |= {"steps": steps, "input": {"type": "object"}, "catch_up": {"enum": list(CATCH_UPS)}}
    table = {"type": "object", "properties": keys, "additionalProperties": False}
    described = "Graphs of tasks under a name, and when each runs by itself: docs/workflows.md."
    return {"type": "array", "items": {**table, "required": ["name", "steps"]},
            "maxItems": MAX_WORKFLOWS, "description": described}  # fmt: skip
