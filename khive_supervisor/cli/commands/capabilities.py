"""capabilities list, show, enable: roles of agents that somebody has written well already."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.clients import rewrite, toml_edit
from khive_supervisor.cli.clients.json_edit import CannotEdit
from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.connection.trust import users_file
from khive_supervisor.cli.render.answers import ReloadShown
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.service.reload import result_text
from khive_supervisor.config.all_capabilities import all_capabilities
from khive_supervisor.config.capability import Capabilities, Capability, Package
from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.load import Glance, LoadedConfig, glance, loads
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.config.settings.values import declared
from khive_supervisor.errors import InvalidInput, KhiveError, NotFound, NotRunning


class CapabilityShown(TypedDict):
    """A capability, or what is wrong with one; `enabled` is where it is."""

    id: str | None
    role: str | None
    task_types: list[str]
    source: str
    enabled: list[str]
    problems: list[str]
    description: str


class EnabledShown(TypedDict):
    """What was enabled; `lacks` is what this machine has not that it needs."""

    capability: str
    file: str
    role: str
    task_types: list[str]
    lacks: list[str]
    reload: ReloadShown | None


@click.group("capabilities")
def capabilities() -> None:
    """Capabilities: agents with a prompt of their own, ready to be roles."""


@capabilities.command("list")
@common_options
def list_(run: Invocation) -> None:
    """List the capabilities there are, where they come from, and what is wrong with them."""
    known, found = _look(users_file(run.config_file))
    run.emit(_rows(known, found), _list_text)


def _look(file: str) -> tuple[Glance, Capabilities]:
    known = glance(rewrite.read(file).text.removeprefix("\ufeff"), file)
    return known, all_capabilities(known.agents.capabilities)


def _rows(known: Glance, found: Capabilities) -> list[CapabilityShown]:
    rows: list[CapabilityShown] = [
        {
            "id": name,
            "role": package.capability.role,
            "task_types": list(package.capability.task_types),
            "source": package.source,
            "enabled": list(known.enabled.get(name, ())),
            "problems": [],
            "description": package.capability.description,
        }
        for name, package in found.packages.items()
    ]
    rows += [
        {"id": broken.id, "role": None, "task_types": [], "source": broken.source,
         "enabled": [], "problems": list(broken.problems), "description": ""}
        for broken in found.broken
    ]  # fmt: skip
    return rows


def _list_text(rows: Sequence[CapabilityShown]) -> str:
    lines = [
        (
            row["id"] or "?",
            row["role"] or "-",
            ", ".join(row["task_types"]) or "-",
            "broken" if row["problems"] else "yes" if row["enabled"] else "no",
            row["source"],
        )
        for row in rows
    ]
    problems = [f"  {problem}" for row in rows for problem in row["problems"]]
    shown = [table(("id", "role", "task types", "enabled", "source"), lines)]
    return "\n".join([*shown, *(["", "Broken:", *problems] if problems else [])])


@capabilities.command("show")
@click.argument("capability")
@common_options
def show(run: Invocation, capability: str) -> None:
    """Show everything that a capability gives its role, with the whole prompt."""
    known, found = _look(users_file(run.config_file))
    package = _package(found, capability)
    data = {
        **package.capability.as_dict(),
        "source": package.source,
        "enabled": list(known.enabled.get(capability, ())),
    }
    run.emit(data, lambda _: _show_text(package, data), exact=True)


def _package(found: Capabilities, name: str) -> Package:
    """The package of an id; raises NotFound with what there is, or what is wrong with it."""
    if name not in found.packages:
        text = found.why_not(name)
        end = "" if text.endswith("?") else "."
        raise NotFound(
            f"{text[0].upper()}{text[1:]}{end}",
            hint="`khive-supervisor capabilities list` shows all of them.",
        )
    return found.packages[name]


def _show_text(package: Package, data: Mapping[str, Any]) -> str:
    capability = package.capability
    lines = [f"# source: {package.source}"]
    lines += [f"# enabled: {place}" for place in data["enabled"]]
    lines += [
        f"{name} = {setting.write(value)}"
        for name, setting in declared(Capability).items()
        if name not in ("prompt", "budget")
        and not setting.is_unset(value := getattr(capability, name))
    ]
    of_budget = declared(Budget)
    lines += [
        f"budget.{name} = {of_budget[name].write(value)}"
        for name, value in capability.budget.as_dict().items()
    ]
    return "\n".join([*lines, "", capability.prompt.strip()])


@capabilities.command("enable")
@click.argument("capability")
@click.option("--reload", "reload_", is_flag=True, help="Have the supervisor take it over at once.")
@common_options
def enable(run: Invocation, capability: str, reload_: bool) -> None:
    """Make a role of a capability: a table at the end of the configuration names it.

    Nothing else in the file changes, and the first time a copy of it is kept beside it. Without a
    file the user's own is made.
    """
    operators_only(run.config_file, "capabilities enable")
    file = users_file(run.config_file)
    original = rewrite.read(file)
    known, found = _look(file)
    _package(found, capability)
    if places := known.enabled.get(capability):
        raise InvalidInput(
            f"{capability} is enabled already: {places[0]}.",
            hint="Other values for keys of its role can be given in that table.",
        )
    text = _enabled(original, capability)
    loaded = loads(text.removeprefix("\ufeff"), file, os.environ)
    rewrite.replace(original, text)
    role = loaded.config.roles[-1]
    data: EnabledShown = {
        "capability": capability,
        "file": original.target,
        "role": role.role,
        "task_types": list(role.task_types),
        "lacks": _lacks(loaded, role),
        "reload": _reload(run.config_file) if reload_ else None,
    }
    run.emit(data, _enable_text)
    if data["reload"] and data["reload"]["errors"]:
        sys.exit(exitcodes.FAILURE)


def _enabled(original: rewrite.Original, capability: str) -> str:
    try:
        return toml_edit.append_table(original.text, "roles", {"capability": capability})
    except CannotEdit as error:
        raise KhiveError(
            f"{original.target} was not changed: {error}.",
            hint=f'Add a role to it by hand, with capability = "{capability}".',
        ) from None


def _lacks(loaded: LoadedConfig, role: Role) -> list[str]:
    """What this machine lacks for the role to work."""
    problems = check_handlers(loaded.config, os.environ)
    return [problem.text for problem in problems if problem.role == role.role]


def _reload(config_file: str | None) -> ReloadShown | None:
    """What came of a reload; None if no supervisor runs, whose start will do it."""
    try:
        with control(config_file) as client:
            return cast("ReloadShown", client.request("reload", {}))
    except NotRunning:
        return None


def _enable_text(data: EnabledShown) -> str:
    types = ", ".join(data["task_types"])
    lines = [
        f"{data['capability']} is enabled in {data['file']}: role {data['role']}, for {types}."
    ]
    lines += [f"  It cannot work here yet: {text}." for text in data["lacks"]]
    if data["reload"]:
        lines.append(result_text(data["reload"]))
    else:
        lines.append("`khive-supervisor reload` takes it over; so does the next start.")
    return "\n".join(lines)


COMMANDS = (capabilities,)
