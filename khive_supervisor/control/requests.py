"""What a worker is asked for when it is started: one JSON object beside descriptors.

The supervisor makes these and workers read them, through the zygote or on stdin. A session that
serves itself makes its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Required, TypedDict


class GrantData(TypedDict):
    """A grant as it crosses; `namespaces` None: it is not confined."""

    audience: str
    namespaces: list[str] | None
    owners: list[str]
    home: str


class IdentityData(TypedDict):
    """The identity of a project as it crosses to a worker."""

    name: str
    own: str
    base: str
    candidates: list[str]
    branch: str
    commit: str


class SessionRequest(TypedDict, total=False):
    """Serve a client: `kind` is `attach` (MCP on its pipes) or `verbs` (on its connection).

    `arrived` is when the client came, of the clock that is the same in all processes. `process` is
    the client that has started who is at the other end: "pid:start". `settings` and
    `project` are the project's part of the configuration, `identity` the project that its memories
    are about, and `role` the one whose task has started the client; `notice` is written to the
    client's stderr. `acks`: say on the connection that a worker has begun. `again`, `reserved` and
    `config_file` are of a session that serves itself: how attach is called when a supervisor is
    back, whether another session forked it, and the configuration that it was started with.
    """

    kind: Required[str]
    session: str
    pid: int
    arrived: float
    process: str
    cwd: str
    env: Mapping[str, str]
    grant: GrantData
    settings: Mapping[str, Mapping[str, object]]
    project: Mapping[str, object]
    identity: IdentityData | None
    role: str
    notice: str
    acks: bool
    again: list[str]
    reserved: bool
    config_file: str | None


class RoleRequest(TypedDict):
    """Do a role's tasks; `kind` is `role`.

    `config` is the whole configuration as JSON, `env` what the worker's environment gets beside
    the zygote's.
    """

    kind: str
    worker: str
    role: str
    generation: int
    digest: str
    config: str
    env: dict[str, str]
    log_level: str
