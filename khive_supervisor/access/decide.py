"""Who gets what: from the user's configuration and what is known of who asks. Pure but for links.

Everything that is known narrows what is granted; nothing widens it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.access.places import places_of
from khive_supervisor.config.settings.confine import confinement_of, matches
from khive_supervisor.config.settings.model import Config

#: Variables that say of a process that an agent or a role's worker has started it.
BENEATH_AGENT = ("CLAUDECODE", "KHIVE_TASK_ID", "KHIVE_ROLE")
#: Names the project of a client whose working directory may be another one.
PROJECT = "CLAUDE_PROJECT_DIR"
#: Confines whatever is started with it, beside all else that does.
CONFINED = "KHIVE_CONFINE"
#: A name that no namespace has: of a task that two tables contradict each other about.
NOWHERE = "none of them"
#: All of them, for who reads the environment of a process.
HINTS = (*BENEATH_AGENT, PROJECT, CONFINED)


def of_session(config: Config, cwd: str, hints: Mapping[str, str]) -> Grant:
    """Return what a client's session gets by its directory and environment."""
    grant = _by_place(config, (cwd, hints.get(PROJECT, "")))
    if not grant.confined and _is_operators(config, cwd) and not is_beneath(hints):
        return OPERATOR
    return _hinted(grant, hints)


def of_command(config: Config, cwd: str, hints: Mapping[str, str], above: Iterable[Grant]) -> Grant:
    """Return what a command gets: an operator's, unless an agent is above it.

    `hints`: those of its variables that are in `HINTS`; `above`: the grants of those from whom it
    descends.
    """
    found = tuple(above)
    if not found and not is_beneath(hints):
        place = _by_place(config, (cwd,))
        return _hinted(replace(OPERATOR, home=place.home), hints)
    grant = OPERATOR if found else AGENT
    for one in found:
        grant = replace(grant.narrowed(one), owners=grant.owners or one.owners)
    if not grant.operator:
        grant = grant.narrowed(_by_place(config, (cwd, hints.get(PROJECT, ""))))
    return _hinted(grant, hints)


def of_task(config: Config, namespace: str, cwd: str) -> Grant:
    """What whoever works on a task gets: by the project that it is about, and by who gave it.

    What a confined session gives has its namespace, so that namespace confines as well.
    """
    grant = _by_place(config, (cwd,)) if cwd else AGENT
    if any(table.namespace == namespace for table in config.confine):
        grant = grant.narrowed(confined_to(namespace))
    return grant


def variables_of_task(config: Config, namespace: str, cwd: str) -> dict[str, str]:
    """What is put into the environment of whoever works on a task, beside what else says so."""
    grant = of_task(config, namespace, cwd)
    if grant.namespaces is None:
        return {}
    return {CONFINED: next(iter(grant.namespaces), NOWHERE)}


def alone(config: Config, kind: str, cwd: str, environ: Mapping[str, str]) -> Grant:
    """Return the same for a session ("attach") or command that serves itself, without a supervisor.

    Nothing is known of its ancestors then but what the environment says.
    """
    hints = {name: environ[name] for name in HINTS if environ.get(name)}
    above = []
    if hints.get("KHIVE_TASK_ID"):
        task = of_task(config, environ.get("KHIVE_NAMESPACE", ""), "")
        above = [replace(task, owners=(f"task-{hints['KHIVE_TASK_ID']}",))]
    if kind != "attach":
        return of_command(config, cwd, hints, above)
    grant = of_session(config, cwd, hints)
    return replace(grant.narrowed(above[0]), owners=above[0].owners) if above else grant


def is_beneath(hints: Mapping[str, str]) -> bool:
    """Return True if a process says of itself that an agent has started it."""
    return any(hints.get(name) for name in BENEATH_AGENT)


def _hinted(grant: Grant, hints: Mapping[str, str]) -> Grant:
    wanted = hints.get(CONFINED)
    return grant.narrowed(confined_to(wanted)) if wanted else grant


def _by_place(config: Config, directories: Iterable[str]) -> Grant:
    """Return what the tables say of some directories; those that differ leave nothing."""
    grant = AGENT
    if not config.confine:
        return grant
    for place in places_of(directory for directory in directories if directory):
        table = confinement_of(config.confine, place)
        if table is not None:
            grant = grant.narrowed(confined_to(table.namespace))
    return grant


def _is_operators(config: Config, cwd: str) -> bool:
    """Return True if the user has made the sessions of a directory an operator's."""
    patterns = config.session.operator_paths
    if not patterns:
        return False
    real = places_of((cwd,))[:1]
    return any(matches(pattern, place) for pattern in patterns for place in real)
