"""Heads of the nodes' audit chains at the server: what each has published, against what is here."""

from __future__ import annotations

import json

from khive_supervisor import logs
from khive_supervisor.audit.chain import Head
from khive_supervisor.audit.several import PublishedHead
from khive_supervisor.store.audit import AuditLog
from khive_workers.team.server import ServerRefuses, TeamServer

log = logs.get("khive.replicator")

_NEWEST = """
    SELECT coalesce(json_agg(json_build_array(origin, seq, hash, number)), '[]')::text
    FROM (SELECT DISTINCT ON (origin) origin, seq, encode(hash, 'hex') AS hash, number
          FROM khive.heads ORDER BY origin, day DESC) AS newest
"""


def publish(server: TeamServer, head: Head, number: int) -> None:
    """Let the server hold a chain's head: the newest of each day.

    `number` is the change of the log that the chain was at, or a later one.
    """
    server.ask(
        "INSERT INTO khive.heads (origin, seq, hash, number) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (origin, day) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, "
        "number = excluded.number, at = clock_timestamp() WHERE khive.heads.seq <= excluded.seq",
        (head.origin, head.seq, head.hash, number),
    )


def published(server: TeamServer) -> list[PublishedHead]:
    """Return the heads that the server holds."""
    return [
        PublishedHead(Head(seq, bytes(found), origin), number)
        for origin, seq, found, number in server.ask(
            "SELECT origin, seq, hash, number FROM khive.heads ORDER BY origin, day DESC"
        )
    ]


def newest(server: TeamServer) -> list[PublishedHead]:
    """Return the last head of each chain that the server holds."""
    (((found,),),) = server.exchange((_NEWEST, ()))
    return [
        PublishedHead(Head(seq, bytes.fromhex(hashed), origin), number)
        for origin, seq, hashed, number in json.loads(found or b"[]")
    ]


class HeadExchange:
    """Publishes this node's head, and looks at what others have published.

    Attributes:
        problem: what does not fit, for people; empty: nothing that is known of.
    """

    def __init__(self, chains: AuditLog, node: str) -> None:
        self.problem = ""
        self._chains = chains
        self._node = node
        self._said: Head | None = None
        self._looked: dict[str, PublishedHead] = {}

    def exchange(self, server: TeamServer, here: int) -> None:
        """Do both, where there is news; `here`: the last change that is in the replica.

        Raises:
            ServerAway: the server cannot be asked now.
        """
        try:
            self._exchange(server, here)
        except ServerRefuses as error:  # its tables are older, or it lets nobody write there
            self._found(f"Heads of audit chains are not exchanged: {error.message}")

    def _exchange(self, server: TeamServer, here: int) -> None:
        own = self._chains.chain(self._node).head()
        if own.seq and own != self._said:
            publish(server, own, here)
            self._said = own
        problems = []
        for one in newest(server):
            if one.number > here or self._looked.get(one.head.origin) == one:
                continue
            if problem := _misfit(self._chains, one.head):
                problems.append(problem)
            else:
                self._looked[one.head.origin] = one
        self._found("; ".join(problems))

    def _found(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.error("team.audit", problem=problem)
        self.problem = problem


def _misfit(chains: AuditLog, head: Head) -> str:
    """Say how a chain does not have a head; empty: it has, or nothing of it is here."""
    chain = chains.chain(head.origin)
    if not head.seq or not chain.head().seq:
        return ""
    entry = next(chain.entries(head.seq - 1), None)
    if entry is not None and (entry.seq, entry.hash) == (head.seq, head.hash):
        return ""
    what = "not here" if entry is None or entry.seq != head.seq else "another one here"
    return f"entry {head.seq} of the audit chain that {head.origin} has published is {what}"
