"""References in a payload to what other tasks have found; names and numbers, no code; pure.

`{{t12.result.image}}` is a part of a task's result; `.state` and `.error` are there, too. In a
workflow, `{{steps.build.result}}` names the task by its step, `{{input.version}}` is what the run
was begun with, and `{{item}}` one item of the list that a step fans out over. A text that is one
reference and nothing else becomes the value itself; within a longer text, a value is written into
it. What is put in is never read for references again, and any other braces are left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.errors import InvalidInput

_PATH = r"(?:steps\.[A-Za-z0-9_-]+|t[1-9][0-9]{0,17}|input|item)(?:\.[A-Za-z0-9_-]+)*"
_REFERENCE = re.compile(r"\{\{\s*(" + _PATH + r")\s*\}\}")
_ALONE = re.compile(r"\s*" + _REFERENCE.pattern + r"\s*")
_TASK = re.compile(r"t([0-9]+)")
_STEP = re.compile(r"\{\{\s*steps\.([A-Za-z0-9_-]+)")


@dataclass(frozen=True, slots=True)
class Values:
    """What references mean: tasks by their numbers, the input of the run, the item of a part.

    None: there is none, and references to it are left as they are.
    """

    tasks: Mapping[int, Mapping[str, Any]]
    input: Mapping[str, Any] | None = None
    item: tuple[Any] | None = None

    def knows(self, path: str) -> bool:
        """Return True if a reference means anything here."""
        head = path.partition(".")[0]
        if head == "input":
            return self.input is not None
        if head == "item":
            return self.item is not None
        found = _TASK.fullmatch(head)
        return found is not None and int(found[1]) in self.tasks

    def get(self, path: str) -> Any:
        """Return the value that a known path leads to; raises InvalidInput if there is none."""
        head, *rest = path.split(".")
        value: Any
        if head == "input":
            value = self.input
        elif head == "item":
            value = (self.item or (None,))[0]
        else:
            value = self.tasks[int(head[1:])]
        for number, name in enumerate(rest):
            value = _within(value, name, path, ".".join([head, *rest[:number]]))
        return value


def _within(value: Any, name: str, path: str, place: str) -> Any:
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if isinstance(value, list | tuple) and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    raise InvalidInput(
        f"The payload asks for {{{{{path}}}}}, and {place} has no {name!r}.",
        hint="Look at the result of that task, and mend the reference.",
    )


def with_item(values: Values, item: Any) -> Values:
    """Return what references mean for one part of a step that fans out."""
    return Values(values.tasks, values.input, (item,))


def references(data: Any) -> frozenset[str]:
    """Return every path that texts in plain data refer to."""
    return frozenset(path for text in _texts(data) for path in _REFERENCE.findall(text))


def steps_of(data: Any) -> frozenset[str]:
    """Return the names of the steps that texts in plain data refer to."""
    return frozenset(name for text in _texts(data) for name in _STEP.findall(text))


def renamed(data: Any, numbers: Mapping[str, int]) -> Any:
    """Return plain data with references to steps made references to their tasks."""

    def name(found: re.Match[str]) -> str:
        number = numbers.get(found[1])
        return found[0] if number is None else f"{{{{t{number}"

    return _mapped(data, lambda text: _STEP.sub(name, text))


def render(data: Any, values: Values) -> Any:
    """Return plain data with what its references mean; raises InvalidInput if one means nothing."""

    def filled(text: str) -> Any:
        alone = _ALONE.fullmatch(text)
        if alone is not None and values.knows(alone[1]):
            return values.get(alone[1])
        return _REFERENCE.sub(lambda found: _written(found, values), text)

    return _mapped(data, filled)


def _written(found: re.Match[str], values: Values) -> str:
    if not values.knows(found[1]):
        return found[0]
    value = values.get(found[1])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def needs_rendering(data: Any, tasks: Collection[int], *, in_run: bool) -> bool:
    """Return True if references in plain data mean anything: to these tasks, or (`in_run`) else."""
    values = Values({one: {} for one in tasks}, {} if in_run else None, (None,) if in_run else None)
    return any(values.knows(path) for path in references(data))


def _mapped(data: Any, change: Callable[[str], Any]) -> Any:
    if isinstance(data, str):
        return change(data) if "{{" in data else data
    if isinstance(data, Mapping):
        return {name: _mapped(value, change) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_mapped(value, change) for value in data]
    return data


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        if "{{" in data:
            yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value)
