"""team: who is a member of a team's store, and which namespaces each may see."""

from __future__ import annotations

import json

import click

from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import InvalidInput
from khive_supervisor.supervision.team import errand
from khive_supervisor.team.moves import Moved
from khive_supervisor.team.parts import ALL

_ALL = "every namespace, also those to come"


@click.group("team")
def team() -> None:
    """Who may see what of the team's store, what was purged, and which writes wait here."""


@team.command()
@common_options
def users(run: Invocation) -> None:
    """List the team's members: their namespaces, and the nodes that they connect."""
    run.emit(_errand(run, "users", ""), _users_text)


@team.command()
@click.argument("role")
@click.argument("namespace")
@common_options
def grant(run: Invocation, role: str, namespace: str) -> None:
    """Let ROLE, a role of the server's, see NAMESPACE, or '*' for all of them.

    What a namespace holds comes to the role's nodes within seconds. Only the role that owns the
    team's tables gives rights.
    """
    operators_only(run.config_file, "team")
    done = _errand(run, "grant", _asked(role, namespace))
    run.emit(done, lambda _: f"{one_line(role)} may see {_named(namespace)} now.")


@team.command()
@click.argument("role")
@click.argument("namespace")
@common_options
def revoke(run: Invocation, role: str, namespace: str) -> None:
    """Take the right to NAMESPACE from ROLE, or '*' for all that it has.

    The server hides it at once; it leaves the replicas of the role's nodes when they next hear of
    the server. A role without any right is no member any more.
    """
    operators_only(run.config_file, "team")
    done = _errand(run, "revoke", _asked(role, namespace))
    run.emit(done, lambda answer: _revoked_text(answer, role, namespace))


@team.command()
@common_options
def purges(run: Invocation) -> None:
    """List what was purged of late, and which nodes have confirmed that nothing of it is left."""
    run.emit(_errand(run, "purges", ""), _purges_text)


def _purges_text(found: Moved) -> str:
    rows = [
        (
            one["number"],
            shown(one["at"]),
            f"{one_line(one['node'])} ({one_line(one['member'])})",
            "nothing left" if one["server"] else "until the next base",
            ", ".join(map(one_line, one["confirmed"])) or "-",
            ", ".join(map(one_line, one["waiting"])) or "-",
        )
        for one in found.get("purges", [])
    ]
    if not rows:
        return "Nothing was purged in this team."
    return table(("change", "at", "by", "server", "confirmed", "not yet"), rows)


def _asked(role: str, namespace: str) -> str:
    if not namespace or any(letter.isspace() for letter in namespace):
        raise InvalidInput(
            f"{namespace!r} is no namespace.", hint="Name one, or '*' for all of them."
        )
    if namespace != ALL and "*" in namespace:
        raise InvalidInput(
            f"{namespace!r} is a pattern, and rights are to namespaces.",
            hint="Name each, or '*' alone for all of them.",
        )
    return json.dumps([role, namespace])


def _named(namespace: str) -> str:
    return _ALL if namespace == ALL else f"the namespace {one_line(namespace)}"


def _revoked_text(done: Moved, role: str, namespace: str) -> str:
    left = [one["namespaces"] for one in done.get("members", []) if one["name"] == role]
    if not left:
        return f"{one_line(role)} may see nothing of this team any more."
    return (
        f"{one_line(role)} may not see {_named(namespace)} any more. "
        f"What it may still see: {', '.join(map(one_line, left[0]))}."
    )


def _users_text(found: Moved) -> str:
    rows = [(one_line(found.get("owner", "")), "* (owner)", "")]
    rows += [
        (
            one_line(one["name"]),
            ", ".join(map(one_line, one["namespaces"])),
            ", ".join(map(one_line, one["nodes"])),
        )
        for one in found.get("members", [])
    ]
    return table(("role", "namespaces", "nodes"), rows)


def _errand(run: Invocation, what: str, asked: str) -> Moved:
    return errand.run(in_a_team(loaded(run.config_file).config), what, file=asked)


def in_a_team(config: Config) -> Config:
    """Return a configuration that names a team's server; raises InvalidInput for another."""
    if not config.store.url:
        raise InvalidInput("This machine is in no team.", hint="`join` is how to get into one.")
    return config
