"""The nodes of a team as the server knows them: how far each has come, what each has confirmed."""

# ruff: noqa: S608 - statements are put together from this module's constants
from __future__ import annotations

import json
from dataclasses import dataclass

from khive_supervisor import __version__
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.team.moves import PurgeOfTeam
from khive_workers.team.members import SOME_ALONE
from khive_workers.team.server import DIVIDED_SINCE, TURN_KEY, ServerRefuses, TeamServer

#: What a node's connection is called at the server, before its name.
PREFIX = "khive "
#: Days after which nobody waits for a node that has not been heard of to be upgraded.
MISSED_AFTER = 7


_WITH_CONNECTED = (
    f"WITH connected AS (SELECT DISTINCT substr(application_name, {len(PREFIX) + 1}) AS name "
    f"FROM pg_stat_activity WHERE starts_with(application_name, '{PREFIX}') "
    "AND datname = current_database())"
)
_OLDEST_SCHEMA = (
    "(SELECT min(schema) FROM khive.nodes WHERE "
    f"at > clock_timestamp() - {MISSED_AFTER} * interval '1 day' "
    "OR name IN (SELECT name FROM connected))"
)
_VIEW = f"""
    {_WITH_CONNECTED}, base AS
        (SELECT id, number FROM khive.base WHERE ready ORDER BY id DESC LIMIT 1)
    SELECT json_build_array(
        (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM connected),
        {_OLDEST_SCHEMA},
        (SELECT number FROM base),
        EXISTS (SELECT FROM khive.slices WHERE base = (SELECT id FROM base) AND namespace = ''),
        {SOME_ALONE},
        (SELECT coalesce({DIVIDED_SINCE}, 0) FROM khive.head AS head),
        (SELECT max(number) FROM khive.purges WHERE number <= $2::bigint),
        (SELECT coalesce(json_agg(json_build_array(p.number, p.node) ORDER BY p.number), '[]')
            FROM khive.purges AS p JOIN khive.nodes AS n ON n.name = $1::text
            WHERE p.number > n.purged AND p.number <= $2::bigint)
    )::text
"""


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
    LIMIT 1"""


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
            f"BEGIN; SELECT pg_advisory_xact_lock({TURN_KEY}); SELECT FROM khive.head FOR UPDATE; "
            "ROLLBACK"
        )
    except ServerRefuses:
        rows = server.ask(_HOLDERS)
        return TurnHolder(str(rows[0][0]), int(rows[0][1])) if rows else None
    return None


def schema(server: TeamServer) -> int:
    """Return the newest schema that all nodes know which are there, or were in the last days."""
    return int(server.ask(f"{_WITH_CONNECTED} SELECT {_OLDEST_SCHEMA}")[0][0] or NEWEST)


@dataclass(frozen=True, slots=True)
class TeamView:
    """What a node sees of its team, now and then.

    Attributes:
        peers: the nodes that are connected.
        schema: as `schema` returns it.
        base: the number of the newest base; 0: there is none.
        to_slice: somebody needs that base in slices, and it is not there in them.
        purged: the last purge up to what the node has; 0: there was none.
        waiting: the purges that it has not confirmed, in their order.
    """

    peers: list[str]
    schema: int
    base: int
    to_slice: bool
    purged: int
    waiting: list[WaitingPurge]


def view(server: TeamServer, node: str, here: int) -> TeamView:
    """Return what a node sees that has come to a change, all of it by one statement."""
    (((found,),),) = server.exchange((_VIEW, (node.encode(), here.to_bytes(8, "big"))))
    peers, oldest, base, sliced, some_alone, divided, purged, waiting = json.loads(found or b"[]")
    sliced = base is None or (sliced and base >= divided)
    return TeamView(
        peers=peers,
        schema=oldest or NEWEST,
        base=base or 0,
        to_slice=some_alone and not sliced and here >= divided,
        purged=purged or 0,
        waiting=[WaitingPurge(*one) for one in waiting],
    )


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
