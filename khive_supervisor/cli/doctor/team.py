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

#: Changes that a node may be behind before that is reported.
BEHIND_WARN = 100
#: Seconds that two clocks may differ before that is reported.
CLOCK_WARN = 5.0


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
        return
    state, behind = str(team.get("state", "off")), int(team.get("behind", 0))
    problem = str(team.get("problem", ""))
    if state != "connected":
        fix = "Writes fail until it is back; reading goes on. docs/team.md says what to look at."
        yield Check("team", "fail", f"The server is not used: {state}", problem, fix)
    elif behind > BEHIND_WARN:
        why = "The disk or a processor of this machine does not keep up."
        yield Check("team", "warn", f"This node is {behind} changes behind", why)
    else:
        named = f"{team.get('server')}, change {team.get('number')}, as {team.get('node')}"
        version = f"PostgreSQL {team.get('server_version')}"
        yield Check("team", "ok", f"{named}; {version}; nodes: {', '.join(team.get('peers', []))}")
    yield from _clock(team)
    yield from _kept(team)
    if problem := str(team.get("audit", "")):
        fix = "khive-supervisor audit verify says more of each chain; so does docs/audit.md."
        yield Check("team audit", "fail", "Heads of audit chains do not fit", problem, fix)


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
