"""The nodes of a team as the server knows them: who is connected, and how far each has come."""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor import __version__
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_workers.team.server import TeamServer

#: What a node's connection is called at the server, before its name.
PREFIX = "khive "
#: Days after which nobody waits for a node that has not been heard of to be upgraded.
MISSED_AFTER = 7


@dataclass(frozen=True, slots=True)
class TeamNode:
    """A node that has said how far it is: its number and release, and how many seconds ago."""

    name: str
    number: int
    release: str
    seconds: float


def connected(server: TeamServer) -> list[str]:
    """Return the names of the nodes that are connected."""
    rows = server.ask(
        "SELECT DISTINCT substr(application_name, 7) FROM pg_stat_activity "
        "WHERE application_name LIKE 'khive %%' AND datname = current_database() ORDER BY 1",
        (),
    )
    return [name for (name,) in rows]


def schema(server: TeamServer) -> int:
    """Return the newest schema that all nodes know which are there, or were in the last days."""
    rows = server.ask(
        "SELECT coalesce(min(schema), %s) FROM khive.nodes WHERE at > clock_timestamp() - "
        "%s * interval '1 day' OR name IN (SELECT substr(application_name, 7) FROM "
        "pg_stat_activity WHERE application_name LIKE 'khive %%' "
        "AND datname = current_database())",
        (NEWEST, MISSED_AFTER),
    )
    return int(rows[0][0])


def tell(server: TeamServer, node: str, number: int) -> None:
    """Say how far a node has come; a new one is known from then on."""
    server.ask(
        "INSERT INTO khive.nodes (name, number, schema, release) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (name) DO UPDATE SET number = excluded.number, schema = excluded.schema, "
        "release = excluded.release, at = clock_timestamp(), member = excluded.member",
        (node, number, NEWEST, __version__),
    )


def all_of(server: TeamServer) -> list[TeamNode]:
    """Return the nodes that have ever been in the team and have not left it."""
    rows = server.ask(
        "SELECT name, number, release, "
        "extract(epoch FROM clock_timestamp() - at)::float8 FROM khive.nodes ORDER BY name"
    )
    return [TeamNode(*row) for row in rows]
