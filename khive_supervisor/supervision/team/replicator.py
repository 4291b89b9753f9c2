"""The child that speaks with a team's server, and what has to be there before anything else is."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NotRequired, TypedDict

from khive_supervisor import exitcodes, logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import ConfigError, StoreUnavailable
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.restart import RestartPolicy

log = logs.get("khive.children")

MODULE = "khive_workers.replicator"
#: Seconds that making a replica may take: a base of gigabytes is loaded.
_JOIN_DEADLINE = 1800.0


class TeamStatus(TypedDict):
    """What `status` shows of a team's server; only `state` where there is none."""

    state: str
    node: NotRequired[str]
    server: NotRequired[str]
    problem: NotRequired[str]
    number: NotRequired[int]
    behind: NotRequired[int]
    peers: NotRequired[list[str]]


#: The store is this machine's own.
NO_TEAM: TeamStatus = {"state": "off"}


@dataclass(slots=True, eq=False)
class ReplicatorChild(Child):
    """Runs the replicator; used only from the supervisor's loop."""

    name: str = "replicator"
    module: str = MODULE
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    reports: ClassVar[bool] = True
    team: TeamStatus = field(default_factory=lambda: TeamStatus(state="starting"))

    def _report(self, line: bytes) -> None:
        self.heard()
        before = self.team
        try:
            self.team = json.loads(line)
        except ValueError:
            log.warning("replicator.garbled", text=repr(line[:200]))
            return
        if any(before.get(key) != self.team.get(key) for key in ("state", "problem", "peers")):
            log.info("team.state", team=dict(self.team))


def environment_for(config: Config, variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the replicator gets beside what every child does: the password, if it is ours."""
    if not config.password:
        return variables
    return ChainMap({"PGPASSWORD": config.password}, dict(variables))


def join(config: Config, variables: Mapping[str, str]) -> None:
    """Make a team's replica on this machine, if there is none yet.

    Raises:
        ConfigError: the driver is not installed.
        StoreUnavailable: the server cannot be asked, or refused.
    """
    if not config.store.url:
        return
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(
            ["store.url names a PostgreSQL server, and its driver is not installed"],
            hint="pip install 'khive-supervisor[postgres]', and start again.",
        )
    if os.path.exists(config.store.path):
        return
    done = subprocess.run(
        [sys.executable, "-P", "-m", MODULE, "--join"],
        env=dict(environment_for(config, variables)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_JOIN_DEADLINE,
        check=False,
    )
    if done.returncode != exitcodes.OK:
        why = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
        raise StoreUnavailable(
            f"The team's store could not be joined: {why[0]}",
            hint="Once there is a replica, the server may be away. docs/team.md has more.",
        )
