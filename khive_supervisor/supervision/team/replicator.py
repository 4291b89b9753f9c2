"""The child that speaks with a team's server, and what has to be there before anything else is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NotRequired, TypedDict, cast

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.team import errand
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.children")


class TeamStatus(TypedDict):
    """What `status` shows of a team's server; only `state` where there is none."""

    state: str
    node: NotRequired[str]
    server: NotRequired[str]
    problem: NotRequired[str]
    number: NotRequired[int]
    behind: NotRequired[int]
    peers: NotRequired[list[str]]
    #: The server's release, and what its clock is ahead of this machine's, if it is known.
    server_version: NotRequired[str]
    clock_ahead_seconds: NotRequired[float | None]
    #: Connections of processes of this node that write, and the number of the newest base.
    writers: NotRequired[int]
    base: NotRequired[int]
    #: What is wrong with heads of audit chains that nodes have published.
    audit: NotRequired[str]
    #: How often an index was found to be needed that is without what others have purged.
    index_builds: NotRequired[int]
    #: What this node alone does for its member: schedules, channels.
    offices: NotRequired[list[str]]
    #: Copies of what did not fit and was replaced.
    kept: NotRequired[list[str]]
    #: Writes that wait on this machine, for how long the first does, and those put aside.
    waiting: NotRequired[int]
    waiting_seconds: NotRequired[float]
    put_aside: NotRequired[int]
    #: Why they could not be applied when that was last tried.
    waiting_problem: NotRequired[str]


#: The store is this machine's own.
NO_TEAM: TeamStatus = {"state": "off"}


@dataclass(slots=True, eq=False)
class ReplicatorChild(Child):
    """Runs the replicator; used only from the supervisor's loop."""

    name: str = "replicator"
    module: str = errand.MODULE
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    reports: ClassVar[bool] = True
    #: Has an index built from what is stored now.
    build_index: Callable[[], object] = bool
    #: Is told when the server is used again, or no more.
    on_state: Callable[[], object] = bool
    team: TeamStatus = field(default_factory=lambda: TeamStatus(state="starting"))

    def reported(self, said: JsonObject) -> None:
        """Show how it stands with the server."""
        before, self.team = self.team, cast("TeamStatus", said)
        if self.team.get("index_builds", 0) != before.get("index_builds", 0):
            self.build_index()
        if any(before.get(key) != self.team.get(key) for key in ("state", "problem", "peers")):
            log.info("team.state", team=dict(self.team))
        if before["state"] != self.team["state"]:
            self.on_state()

    @property
    def connected(self) -> bool:
        """Return whether the server is used now."""
        return self.running and self.team["state"] == "connected"


def join(config: Config, variables: Mapping[str, str]) -> None:
    """Make a team's replica on this machine, if there is none yet.

    Raises:
        ConfigError: the driver is not installed.
        StoreUnavailable: the server cannot be asked, or refused.
    """
    if not config.store.url:
        return
    errand.check_driver()
    if os.path.exists(config.store.path):
        return
    try:
        errand.run(config, "join", variables=variables)
    except errand.ErrandFailed as error:
        raise StoreUnavailable(
            f"The team's store could not be joined: {error.message}",
            hint="Once there is a replica, the server may be away. docs/team.md has more.",
        ) from None
