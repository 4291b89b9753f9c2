"""The nodes of a team as the server knows them: how far each has come, what each has confirmed."""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor import __version__
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.team.moves import PurgeOfTeam
from khive_workers.team.server import TURN_KEY, ServerRefuses, TeamServer

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


#: How long `doctor` waits for the turn to write: longer than turns that follow each other take.
_TURN_WITHIN = "3s"
#: Who has the turn, or the head of the log, and waits for nothing.
_HOLDERS = f"""
    SELECT a.usename::text, a.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
    WHERE l.granted AND a.datname = current_database() AND a.pid <> pg_backend_pid()
        AND NOT EXISTS (SELECT FROM pg_locks AS w WHERE w.pid = l.pid AND NOT w.granted)
        AND (l.locktype = 'advisory' AND l.objsubid = 1 AND l.classid::bigint = {TURN_KEY >> 32}
                AND l.objid::bigint = {TURN_KEY & 0xFFFFFFFF}
            OR l.locktype = 'relation' AND l.relation = 'khive.head'::regclass
                AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))
    LIMIT 1"""  # noqa: S608 - numbers of ours


@dataclass(frozen=True, slots=True)
class TurnHolder:
    """Who has kept the turn to write from all others for seconds."""

    role: str
    process: int


def turn_holder(server: TeamServer) -> TurnHolder | None:
    """Return who keeps the turn for longer than a write takes; None: nobody does."""
    server.ask(f"SET lock_timeout = '{_TURN_WITHIN}'")
    try:
        server.ask(
            f"BEGIN; SELECT pg_advisory_xact_lock({TURN_KEY}); SELECT FROM khive.head FOR UPDATE; "  # noqa: S608 - a number of ours
            "ROLLBACK"
        )
    except ServerRefuses:
        rows = server.ask(_HOLDERS)
        return TurnHolder(str(rows[0][0]), int(rows[0][1])) if rows else None
    return None


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
