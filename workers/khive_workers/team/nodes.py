"""The nodes of a team as the server knows them: how far each has come, what each has confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor import __version__
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.team.moves import PurgeOfTeam
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


# --- purges: a node has confirmed one when nothing of it is in its files any more ---------------


@dataclass(frozen=True, slots=True)
class WaitingPurge:
    """A purge that a node has in its replica and has not confirmed; `node` is where it was done."""

    number: int
    node: str


def waiting_purges(server: TeamServer, node: str, here: int) -> list[WaitingPurge]:
    """Return the purges up to a change that a node has not confirmed, in their order."""
    rows = server.ask(
        "SELECT p.number, p.node FROM khive.purges AS p JOIN khive.nodes AS n ON n.name = %s "
        "WHERE p.number > n.purged AND p.number <= %s ORDER BY p.number",
        (node, here),
    )
    return [WaitingPurge(*row) for row in rows]


def confirm_purge(server: TeamServer, node: str, number: int) -> None:
    """Say that a node has nothing left of what was purged up to a change."""
    server.ask(
        "UPDATE khive.nodes SET purged = greatest(purged, %s) WHERE name = %s", (number, node)
    )


def newest_purge(server: TeamServer, number: int) -> int:
    """Return the last purge up to a change of the log; 0: there was none."""
    sql = "SELECT coalesce(max(number), 0) FROM khive.purges WHERE number <= %s"
    return int(server.ask(sql, (number,))[0][0])


def purges(server: TeamServer) -> list[PurgeOfTeam]:
    """Return the last purges, the newest first: where it was done, who has confirmed, who not."""
    rows = server.ask(
        "SELECT p.number, p.node, p.member::text, "
        "to_char(p.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
        "coalesce((SELECT max(b.number) FROM khive.base AS b WHERE b.ready), 0) >= p.number, "
        "ARRAY(SELECT name FROM khive.nodes WHERE purged >= p.number ORDER BY name), "
        "ARRAY(SELECT name FROM khive.nodes WHERE purged < p.number ORDER BY name) "
        "FROM khive.purges AS p ORDER BY p.number DESC LIMIT 100"
    )
    return [
        PurgeOfTeam(
            number=number, node=node, member=member, at=at, server=server_done,
            confirmed=list(confirmed), waiting=list(left),
        )
        for number, node, member, at, server_done, confirmed, left in rows
    ]  # fmt: skip
