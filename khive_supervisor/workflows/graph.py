"""The graph of a workflow's steps: whether it can be done, in which order, how it looks; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from khive_supervisor.workflows.definitions import Definition, WorkflowStep
from khive_supervisor.workflows.model import CANCEL, OPERATOR


@dataclass(frozen=True, slots=True)
class KnownRole:
    """What a graph must know of a role: the types of tasks that it takes."""

    name: str
    task_types: tuple[str, ...]


def problems(definition: Definition, roles: Collection[KnownRole]) -> list[str]:
    """Return all that keeps a workflow from being done as it is written; empty: it can be."""
    found = [*_names(definition), *_steps(definition, roles)]
    if not found:
        found = [*_circles(definition)]
    return found


def _names(definition: Definition) -> Iterator[str]:
    seen: set[str] = set()
    for step in definition.steps:
        if step.name in seen:
            yield f"two steps are named {step.name}"
        seen.add(step.name)
    for step in definition.steps:
        for name in step.predecessors:
            if name not in seen:
                yield f"{step.name} comes after {name}, which is no step"
            elif name == step.name:
                yield f"{step.name} comes after itself"


def _steps(definition: Definition, roles: Collection[KnownRole]) -> Iterator[str]:
    by_name = {role.name: role for role in roles}
    for step in definition.steps:
        yield from _role_of(step, by_name)
        by = step.approval.by if step.approval is not None else OPERATOR
        if by != OPERATOR and by not in by_name:
            yield f"{step.name} is to be approved by {by}, which is no role"
        if by == step.role:
            yield f"{step.name} would be approved by {by}, the role that does it"


def _role_of(step: WorkflowStep, roles: Mapping[str, KnownRole]) -> Iterator[str]:
    """Return why nobody could do a step."""
    if not step.role:
        if not any(step.task_type in role.task_types for role in roles.values()):
            yield f"{step.name} has the type {step.task_type}, which no role takes"
    elif step.role not in roles:
        yield f"{step.name} is for {step.role}, which is no role"
    elif step.task_type and step.task_type not in roles[step.role].task_types:
        yield f"{step.name} has the type {step.task_type}, which {step.role} does not take"
    elif not step.task_type and len(roles[step.role].task_types) > 1:
        known = ", ".join(roles[step.role].task_types)
        yield f"{step.name} needs a task_type: {step.role} takes {known}"


def _circles(definition: Definition) -> Iterator[str]:
    """Return the steps that could never begin: they wait for each other, or for such ones."""
    placed = {step.name for level in levels(definition) for step in level}
    left = [step for step in definition.steps if step.name not in placed]
    if circle := _circle(left):
        yield f"steps wait for each other: {' -> '.join(circle)}"
    for step in left:
        if step.name not in circle:
            yield f"{step.name} would never be reached: what it comes after never ends"


def _circle(left: Collection[WorkflowStep]) -> list[str]:
    """Return one circle among steps each of which comes after another of them; empty: none."""
    after = {step.name: step.predecessors for step in left}
    if not after:
        return []
    path: list[str] = []
    name = next(iter(after))
    while name not in path:
        path.append(name)
        name = next(one for one in after[name] if one in after)
    return [*path[path.index(name) :], name][::-1]


def levels(definition: Definition) -> list[list[WorkflowStep]]:
    """Return the steps by how many must be done one after the other before; circles are left out.

    Within a level they stand as they are written, and none comes after another.
    """
    depth: dict[str, int] = {}
    left = list(definition.steps)
    while left:
        ready = [step for step in left if all(name in depth for name in step.predecessors)]
        if not ready:
            break
        for step in ready:
            depth[step.name] = 1 + max((depth[name] for name in step.predecessors), default=-1)
        left = [step for step in left if step.name not in depth]
    found: list[list[WorkflowStep]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for step in definition.steps:
        if step.name in depth:
            found[depth[step.name]].append(step)
    return found


def ordered(definition: Definition) -> list[WorkflowStep]:
    """Return the steps in an order in which they may be done."""
    return [step for level in levels(definition) for step in level]


def drawn(definition: Definition, states: Mapping[str, str] | None = None) -> list[str]:
    """Return the graph in lines: what may be done at once stands below the same number.

    `states` is what to say of steps, by their names: how far they are.
    """
    lines = []
    for number, level in enumerate(levels(definition), 1):
        for place, step in enumerate(level):
            head = f"{number}." if not place else ""
            state = f"  [{states[step.name]}]" if states and step.name in states else ""
            lines.append(f"{head:<4}{step.name}  ({_by(step)}){_after(step)}{state}")
    return lines


def _by(step: WorkflowStep) -> str:
    who = step.role or f"best role for {step.task_type}"
    each = f", for each of {step.each}" if step.each else ""
    terms = step.approval
    return f"{who}{each}" + ("" if terms is None else f", approved by {terms.by}")


def _after(step: WorkflowStep) -> str:
    if not step.predecessors:
        return ""
    policy = "" if step.on_failure == CANCEL else f"; on failure: {step.on_failure}"
    return f"  <- {', '.join(step.predecessors)}{policy}"
