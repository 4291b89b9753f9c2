"""The check of `doctor` for a team's server: how the supervisor's replicator stands with it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from khive_supervisor.cli.connection.finding import status_of
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.supervision.team import errand

#: Changes that a node may be behind before that is reported.
BEHIND_WARN = 100
#: Seconds that two clocks may differ before that is reported.
CLOCK_WARN = 5.0
#: Milliseconds of a round trip, and the share of all connections in use, that are reported.
ROUND_TRIP_WARN, CONNECTIONS_WARN = 50.0, 0.9


def check_team(config: Config, socket_path: str) -> Iterable[Check]:
    """Whether the driver is there, the server answers, and this node keeps up with it."""
    if not config.store.url:
        return
    if importlib.util.find_spec("psycopg") is None:
        why = "store.url names a PostgreSQL server."
        fix = "pip install 'khive-supervisor[postgres]'"
        yield Check("team", "fail", "The driver of PostgreSQL is not installed", why, fix)
        return
    try:
        with ControlClient(socket_path) as client:
            team = status_of(client).get("team", {})
    except (KhiveError, OSError):
        yield Check("team", "ok", "No supervisor runs; it would ask the server")
        yield from _server(config)
        return
    state, behind = str(team.get("state", "off")), int(team.get("behind", 0))
    problem = str(team.get("problem", ""))
    if state != "connected":
        wait = "wait on this machine" if config.store.away == "wait" else "fail"
        fix = f"Writes {wait} until it is back; reading goes on. docs/team.md says what to look at."
        yield Check("team", "fail", f"The server is not used: {state}", problem, fix)
    elif behind > BEHIND_WARN:
        why = "The disk or a processor of this machine does not keep up."
        yield Check("team", "warn", f"This node is {behind} changes behind", why)
    else:
        named = f"{team.get('server')}, change {team.get('number')}, as {team.get('node')}"
        version = f"PostgreSQL {team.get('server_version')}"
        yield Check("team", "ok", f"{named}; {version}; nodes: {', '.join(team.get('peers', []))}")
    yield from _server(config)
    yield from _clock(team)
    yield from _kept(team)
    yield from _waiting(team)
    if problem := str(team.get("audit", "")):
        fix = "khive-supervisor audit verify says more of each chain; so does docs/audit.md."
        yield Check("team audit", "fail", "Heads of audit chains do not fit", problem, fix)


def _server(config: Config) -> Iterable[Check]:
    """What a new connection may do, how long it takes, and how many more there can be."""
    try:
        found = errand.run(config, "check")
    except KhiveError as error:
        fix = "pg_hba.conf, the password and `store.url` decide; docs/team.md has more."
        yield Check("team server", "fail", "No new connection to the server", error.message, fix)
        return
    grants, missing = found.get("grants", []), found.get("missing", [])
    used, most = found.get("connections", [0, 0])
    if grants:
        why = "This machine's role at the server lacks what a node needs."
        fix = (
            f"`khive-supervisor team grant` on the owner's machine, or by SQL: {'; '.join(grants)};"
        )
        yield Check("team rights", "fail", "Permissions are missing", why, fix)
    elif missing:
        why = f"The server was set up by an earlier release, without {', '.join(missing)}."
        fix = "Start a node that connects as the owner of the schema khive once: it makes them."
        yield Check("team rights", "warn", "The server lacks tables", why, fix)
    else:
        yield Check(
            "team rights", "ok", "The role may do all that a node does; no extension needed"
        )
    if held := found.get("turn_held_by"):
        role, process = held
        why = (
            f"The role {role} holds it (the server's process {process}): no other member can write."
        )
        fix = (
            f"If that goes on, in psql: SELECT pg_terminate_backend({process}); so that the server "
            f"ends such by itself: ALTER ROLE {role} SET idle_in_transaction_session_timeout = "
            f"'60s'; and where it is no accident: khive-supervisor team revoke {role} '*'"
        )
        yield Check("team turn", "fail", "The turn to write is kept from all", why, fix)
    told = f"{found.get('milliseconds')} ms a round trip; {used} of {most} connections in use"
    slow = found.get("milliseconds", 0.0) > ROUND_TRIP_WARN
    if most and used > most * CONNECTIONS_WARN:
        fix = "Each node has one connection, and sometimes two: raise max_connections."
        yield Check("team server", "warn", told, "The server takes few more connections.", fix)
    elif slow:
        why = "Each write of the team waits for two round trips under its lock."
        yield Check("team server", "warn", told, why, "Have the server nearer to its nodes.")
    else:
        yield Check("team server", "ok", told)


def _clock(team: Mapping[str, Any]) -> Iterable[Check]:
    """Leases go by the server's clock; times that people see are this machine's."""
    ahead = team.get("clock_ahead_seconds")
    if isinstance(ahead, float) and abs(ahead) > CLOCK_WARN:
        which = "ahead of" if ahead > 0 else "behind"
        what = f"The server's clock is {abs(ahead):.0f} s {which} this machine's"
        why = "Leases go by the server's; dates of what is stored do, too."
        yield Check("team clock", "warn", what, why, "Have both follow a time server (NTP).")


def _kept(team: Mapping[str, Any]) -> Iterable[Check]:
    """What did not fit the server, and so was replaced."""
    for path in team.get("kept", []):
        why = "This copy did not fit what the server has: it may hold what is lost there."
        fix = "docs/team.md says how to look, and to import it; then remove the file."
        yield Check("team copies", "warn", f"{path} is kept", why, fix)


def _waiting(team: Mapping[str, Any]) -> Iterable[Check]:
    """Writes of this machine that the team does not have."""
    if count := team.get("waiting", 0):
        why = "They were made while the server was away, and are stored by themselves once it is."
        fix = "khive-supervisor team waiting lists them."
        yield Check("team waiting", "warn", f"Writes that wait here: {count}", why, fix)
    if count := team.get("put_aside", 0):
        why = "The team's server is back, and they failed for good: nothing else has them."
        fix = "khive-supervisor team waiting says why; `retry` or `drop` each."
        yield Check("team waiting", "warn", f"Writes that could not be stored: {count}", why, fix)
