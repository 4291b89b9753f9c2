"""Definitions of workflows: read from plain data, with every problem said at once; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.errors import InvalidInput
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows import templates
from khive_supervisor.workflows.durations import seconds_of
from khive_supervisor.workflows.model import (
    CANCEL,
    CATCH_UP_ONE,
    CATCH_UPS,
    LASTS,
    OPERATOR,
    POLICIES,
    REFUSALS,
    STEPS_LIMIT,
    ApprovalTerms,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_EACH = re.compile(r"\{\{\s*(steps|input)\.[A-Za-z0-9_.-]+\s*\}\}")
#: Characters of a description.
_DESCRIPTION_LIMIT = 500


@dataclass(frozen=True, slots=True)
class WorkflowStep:
    """One step: who does it (`role`, or the best for `task_type`), with what, and after which.

    Attributes:
        after: the names of the steps that must have ended before.
        on_failure: what the failure of one of them does to this step: one of `POLICIES`.
        approval: who must agree before it is done; None: nobody.
        each: a reference to a list; the step is done once for each item, all at once.
        deadline: seconds from the beginning of the run in which it must have been begun.
    """

    name: str
    role: str = ""
    task_type: str = ""
    payload: Any = None
    after: tuple[str, ...] = ()
    on_failure: str = CANCEL
    approval: ApprovalTerms | None = None
    each: str = ""
    priority: int | None = None
    deadline: float | None = None

    @property
    def predecessors(self) -> tuple[str, ...]:
        """Return the steps that it comes after: those that are named, and those it refers to."""
        refers = templates.steps_of([self.payload, self.each])
        return tuple(dict.fromkeys((*self.after, *sorted(refers))))


@dataclass(frozen=True, slots=True)
class Definition:
    """A workflow: steps, the input that a run has unless it is given one, and when it runs."""

    name: str
    steps: tuple[WorkflowStep, ...]
    description: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    every: str = ""
    zone: str = ""
    catch_up: str = CATCH_UP_ONE

    def step(self, name: str) -> WorkflowStep:
        """Return the step of a name, which there is."""
        return next(one for one in self.steps if one.name == name)


def read(data: object, name: str = "") -> Definition:
    """Return the workflow that plain data defines; `name` is used where it gives none.

    Raises:
        InvalidInput: all that is wrong with it. The graph is for `graph.problems`.
    """
    reader = _Reader()
    found = reader.definition(data, name)
    if reader.problems:
        raise InvalidInput(
            f"This is no workflow: {'; '.join(reader.problems)}.",
            hint="docs/workflows.md has every key, and an example.",
        )
    return found


class _Reader:
    """Reads values of a table, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def definition(self, data: object, name: str) -> Definition:
        table = self._table(data, "the workflow", DEFINITION_KEYS)
        steps = table.get("steps", [])
        if not isinstance(steps, list) or not 1 <= len(steps) <= STEPS_LIMIT:
            self.problems.append(f"steps must be a list of 1 to {STEPS_LIMIT} tables")
            steps = []
        return Definition(
            self._name(table.get("name", name), "name"),
            tuple(self._step(one, f"steps[{number}]") for number, one in enumerate(steps)),
            self._text(table, "description", "description")[:_DESCRIPTION_LIMIT],
            self._mapping(table.get("input", {}), "input"),
            self._text(table, "every", "every"),
            self._text(table, "zone", "zone"),
            self._choice(table, "catch_up", CATCH_UPS, "catch_up"),
        )

    def _step(self, data: object, place: str) -> WorkflowStep:
        table = self._table(data, place, STEP_KEYS)
        name = self._name(table.get("name"), f"{place}.name")
        place = name or place
        step = WorkflowStep(
            name,
            self._text(table, "role", place),
            self._text(table, "task_type", place),
            self._payload(table.get("payload"), place),
            self._names(table.get("after", []), f"{place}.after"),
            self._choice(table, "on_failure", POLICIES, place),
            self._approval(table.get("approve"), f"{place}.approve"),
            self._each(self._text(table, "each", place), place),
            self._whole(table.get("priority"), f"{place}.priority"),
            self._duration(table.get("deadline"), f"{place}.deadline"),
        )
        if not step.role and not step.task_type:
            self.problems.append(f"{place} needs a role or a task_type")
        return step

    def _payload(self, value: object, place: str) -> object:
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            self.problems.append(f"{place}: payload must be what JSON can carry (no times)")
            return None

    def _table(self, data: object, place: str, known: Iterable[str]) -> Mapping[str, Any]:
        if not isinstance(data, Mapping):
            self.problems.append(f"{place} must be a table")
            return {}
        for name in data.keys() - set(known):
            self.problems.append(f"{place} has no key {str(name)[:40]!r}")
        return data

    def _name(self, value: object, place: str) -> str:
        if isinstance(value, str) and _NAME.fullmatch(value):
            return value
        self.problems.append(f"{place} must be 1 to 64 letters, digits, - and _")
        return ""

    def _text(self, table: Mapping[str, Any], key: str, place: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            self.problems.append(f"{place}: {key} must be a text")
            return ""
        return value

    def _names(self, value: object, place: str) -> tuple[str, ...]:
        value = [value] if isinstance(value, str) else value
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(dict.fromkeys(value))
        self.problems.append(f"{place} must be the name of a step, or a list of names")
        return ()

    def _choice(self, table: Mapping[str, Any], key: str, known: Iterable[str], place: str) -> str:
        choices = tuple(known)
        value = table.get(key, choices[0])
        if value not in choices:
            self.problems.append(f"{place}: {key} must be one of {', '.join(choices)}")
            return choices[0]
        return str(value)

    def _mapping(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, Mapping):
            return dict(value)
        self.problems.append(f"{place} must be a table")
        return {}

    def _each(self, value: str, place: str) -> str:
        if value and not _EACH.fullmatch(value):
            self.problems.append(
                f"{place}: each must be one reference to a list, such as {{{{steps.list.result}}}}"
            )
        return value

    def _whole(self, value: object, place: str) -> int | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.problems.append(f"{place} must be a whole number")
        return None

    def _duration(self, value: object, place: str) -> float | None:
        return None if value is None else self._read(seconds_of, value, place)

    def _read(self, parse: Callable[[object], float], value: object, place: str) -> float | None:
        try:
            return parse(value)
        except InvalidInput as error:
            self.problems.append(f"{place}: {error.message}")
            return None

    def _approval(self, value: object, place: str) -> ApprovalTerms | None:
        if value is None or value is False:
            return None
        if value is True:
            return ApprovalTerms()
        table = self._table({"by": value} if isinstance(value, str) else value, place, APPROVE_KEYS)
        by = self._text(table, "by", place) or OPERATOR
        lasts = self._duration(table.get("lasts"), f"{place}.lasts")
        return ApprovalTerms(by, lasts or LASTS, self._choice(table, "refused", REFUSALS, place))


DEFINITION_KEYS = ("name", "description", "steps", "input", "every", "zone", "catch_up")
STEP_KEYS = (
    "name", "role", "task_type", "payload", "after", "on_failure", "approve", "each", "priority",
    "deadline",
)  # fmt: skip
APPROVE_KEYS = ("by", "lasts", "refused")


def as_dict(definition: Definition) -> JsonObject:
    """Return plain data that `read` makes the same definition of."""
    plain: JsonObject = {"name": definition.name}
    for key in ("description", "every", "zone"):
        if getattr(definition, key):
            plain[key] = getattr(definition, key)
    if definition.catch_up != CATCH_UP_ONE:
        plain["catch_up"] = definition.catch_up
    if definition.input:
        plain["input"] = dict(definition.input)
    return {**plain, "steps": [_step_as_dict(step) for step in definition.steps]}


def _step_as_dict(step: WorkflowStep) -> JsonObject:
    plain: JsonObject = {"name": step.name}
    for key in ("role", "task_type", "payload", "each", "priority", "deadline"):
        if (value := getattr(step, key)) not in (None, ""):
            plain[key] = value
    if step.after:
        plain["after"] = list(step.after)
    if step.on_failure != CANCEL:
        plain["on_failure"] = step.on_failure
    if (terms := step.approval) is not None:
        plain["approve"] = {"by": terms.by, "lasts": terms.lasts, "refused": terms.refused}
    return plain
