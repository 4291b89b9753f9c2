"""The check of `doctor` that says what the sessions of this directory may do, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from khive_supervisor.access import decide
from khive_supervisor.access.places import places_of
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings.confine import confinement_of


def check_confinement(found: LoadedConfig, cwd: str, environ: Mapping[str, str]) -> Iterable[Check]:
    """What a session that attaches here gets, and a command that an agent starts here."""
    grant = decide.alone(found.config, "attach", cwd, environ)
    why = " ".join(_reasons(found, cwd, environ))
    if grant.namespaces == ():
        fix = "Change one of the tables, or start the session where they agree."
        what = "Sessions here are confined to namespaces that exclude each other: they reach none"
        yield Check("sessions", "warn", what, why, fix)
    elif grant.namespaces is not None:
        names = ", ".join(grant.namespaces)
        yield Check("sessions", "ok", f"Sessions here are confined to {names}", why)
    elif grant.operator:
        what = "Sessions here have the verbs of operators"
        yield Check("sessions", "ok", what, "session.operator_paths names this directory.")
    else:
        yield Check("sessions", "ok", "Sessions here have the verbs of agents, and all namespaces")


def _reasons(found: LoadedConfig, cwd: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Which place is confined to what, and where that is said."""
    tables = found.config.confine
    project = environ.get(decide.PROJECT, "")
    for place in places_of(one for one in (cwd, project) if one):
        table = confinement_of(tables, place)
        if table is not None:
            origin = found.origins.get(f"confine[{tables.index(table)}].namespace", "")
            yield f"{place} is confined to {table.namespace} ({origin})."
    if wanted := environ.get(decide.CONFINED):
        yield f"{decide.CONFINED} confines to {wanted}."
    if task := environ.get("KHIVE_TASK_ID"):
        yield f"This is beneath a role's worker, at task t{task[:20]}."
