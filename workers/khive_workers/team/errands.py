"""What else is to be done with a team's server: joining, moving a store there and back, leaving."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing

from khive_supervisor import exitcodes
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import InvalidInput, StoreUnavailable
from khive_supervisor.host.byte_search import files_with
from khive_supervisor.sqlite.changes.splitting import PARTED_SINCE
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import copies
from khive_supervisor.team.moves import Moved, MoveStep, PublishedHeadRow, line_of
from khive_supervisor.team.order import base_is_due
from khive_supervisor.team.parts import ALL
from khive_workers.team import bases, heads, joining, members, nodes, tables
from khive_workers.team.moving import StoreMover
from khive_workers.team.server import TeamServer

#: Attempts to empty the write-ahead log, and seconds between two.
_EMPTYINGS, _PAUSE = 20, 0.1

Errand = Callable[[TeamServer, Config, str], Moved]


def _tell(step: MoveStep) -> None:
    sys.stdout.write(step.encode())
    sys.stdout.flush()


def _join(server: TeamServer, config: Config, _: str) -> Moved:
    base = joining.join(
        server, config.store.path, lambda done, total: _tell(MoveStep("loading", done, total))
    )
    return Moved(
        server=server.host,
        entries=base.entries,
        number=base.position.number,
        bytes=base.size,
        file=config.store.path,
    )


def _look_at_team(server: TeamServer, config: Config, _: str) -> Moved:
    """Return what there is to join."""
    base = bases.newest(server) if tables.exist(server) else None
    return Moved(
        server=server.host,
        entries=base.entries if base is not None else 0,
        number=server.look(0).number if base is not None else 0,
        file=config.store.path,
    )


def _look(server: TeamServer, _: Config, source: str) -> Moved:
    return StoreMover(server, _tell).look(source)


def _to_server(server: TeamServer, config: Config, source: str) -> Moved:
    return StoreMover(server, _tell).to_server(source, config.store.path)


def _to_file(server: TeamServer, config: Config, target: str) -> Moved:
    return StoreMover(server, _tell).to_file(config.store.path, target)


def _leave(server: TeamServer, config: Config, _: str) -> Moved:
    """Have the server know of this node no more; its replica stays."""
    with SqliteStore(config.store.path, guarded=False) as store:
        row, entries = store.replica(), copies.count_entries(store.database)
    if row is not None and tables.exist(server):
        server.ask("DELETE FROM khive.nodes WHERE name = %s", (row.node,))
    return Moved(
        server=server.host,
        entries=entries,
        number=row.number if row is not None else 0,
        node=row.node if row is not None else "",
        file=config.store.path,
    )


def _base(server: TeamServer, config: Config, when: str) -> Moved:
    """Make a new base of this node's replica, if one is due (or `now`) and nobody else is at it."""
    with SqliteStore(config.store.path, guarded=False) as store:
        row = store.replica()
        assert row is not None
        number = row.number
        due = when == "now" or _is_due(server, number)
        if due and bases.renewing(server):
            number = joining.put(
                server, store, config.store.path + ".base", row.node
            ).position.number
    return Moved(server=server.host, entries=0, number=number)


def _grant(server: TeamServer, config: Config, asked: str) -> Moved:
    """Give a right; where the base is not apart by namespace yet, another one is made that is."""
    member, namespace = json.loads(asked)
    if namespace != ALL and nodes.schema(server) < PARTED_SINCE:
        raise InvalidInput(
            "A node of the team is of a release that does not keep namespaces apart.",
            hint="Upgrade it first: `khive-supervisor doctor` on each node says its release.",
        )
    with tables.making(server):
        members.grant(server, member, namespace)
    base = bases.newest(server)
    if members.need_slices(server) and base is not None and not bases.sliced(server, base):
        _base(server, config, "now")
    return _users(server, config, "")


def _revoke(server: TeamServer, config: Config, asked: str) -> Moved:
    member, namespace = json.loads(asked)
    with tables.making(server):
        had = members.revoke(server, member, namespace)
    if not had:
        raise InvalidInput(
            f"The role {member} has no right to {namespace}; nothing was taken.",
            hint="`khive-supervisor team users` shows who has which.",
        )
    return _users(server, config, "")


def _users(server: TeamServer, _: Config, __: str) -> Moved:
    found = members.members(server) if tables.have_members(server) else []
    return Moved(
        server=server.host,
        entries=0,
        number=server.look(0).number,
        owner=members.owner(server),
        members=found,
    )


def _heads(server: TeamServer, _config: Config, _file: str) -> Moved:
    """Return the heads of audit chains that nodes have published."""
    found = heads.published(server)
    told = [PublishedHeadRow(head=str(one.head), number=one.number) for one in found]
    return Moved(server=server.host, entries=0, number=0, heads=told)


def _scrub(server: TeamServer, config: Config, _: str) -> Moved:
    """Get what was purged out of this node's files; pieces of it come on standard input.

    Raises:
        StoreUnavailable: somebody reads what is to be overwritten; it can be tried again.
    """
    pieces: list[str] | None = json.loads(sys.stdin.read())
    with SqliteStore(config.store.path, guarded=False) as store:
        if pieces is None or _held(store, [bytes.fromhex(one) for one in pieces]):
            store.purges.compact()
        for _attempt in range(_EMPTYINGS):
            if store.checkpoint(truncate=True).complete:
                return Moved(server=server.host, entries=0, number=0)
            time.sleep(_PAUSE)
    raise StoreUnavailable("Somebody reads the write-ahead log.", hint="It is tried again.")


def _held(store: SqliteStore, pieces: list[bytes]) -> bool:
    """Return whether the file holds a piece that no row accounts for."""
    found = files_with(pieces, [os.path.dirname(store.path)]).get(store.path, [])
    return any(not store.purges.holders(pieces[number]) for number in found)


def _purges(server: TeamServer, _: Config, __: str) -> Moved:
    found = nodes.purges(server) if tables.have_members(server) else []
    return Moved(server=server.host, entries=0, number=server.look(0).number, purges=found)


def _check(server: TeamServer, _config: Config, _file: str) -> Moved:
    """Return how a new connection fares: what is not allowed, how long it takes, what is left."""
    used, most = server.ask(
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), "
        "current_setting('max_connections')::int"
    )[0]
    took = []
    for _ in range(5):
        began = time.perf_counter()
        server.ask("SELECT 1")
        took.append((time.perf_counter() - began) * 1000)
    grants = tables.missing_grants(server)
    there = not grants and tables.exist(server)
    missing = tables.complete(server) if there else []
    holder = nodes.turn_holder(server) if there else None
    return Moved(
        server=server.host,
        entries=0,
        number=0,
        grants=grants,
        missing=missing,
        milliseconds=round(min(took), 1),
        connections=[int(used), int(most)],
        turn_held_by=[holder.role, str(holder.process)] if holder is not None else [],
    )


def _is_due(server: TeamServer, number: int) -> bool:
    base = bases.newest(server)
    if base is None or base_is_due(number, base.position.number):
        return True
    has_purged = nodes.newest_purge(server, number) > base.position.number
    return has_purged or (members.need_slices(server) and not bases.sliced(server, base))


ERRANDS: dict[str, Errand] = {
    "join": _join,
    "look": _look,
    "look-at-team": _look_at_team,
    "to-server": _to_server,
    "to-file": _to_file,
    "leave": _leave,
    "base": _base,
    "grant": _grant,
    "revoke": _revoke,
    "users": _users,
    "scrub": _scrub,
    "purges": _purges,
    "heads": _heads,
    "check": _check,
}


def run(config: Config, name: str, file: str) -> int:
    """Do an errand, and say what came of it; returns an exit code. Raises KhiveError."""
    with closing(TeamServer.connect(config.store.url, "khive errand")) as server:
        result = ERRANDS[name](server, config, file)
    sys.stdout.write(line_of(result))
    return exitcodes.OK
