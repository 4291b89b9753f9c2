"""How a node follows the log: its replica, the server's clock, and what is told of both."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from dataclasses import replace

from khive_supervisor.errors import StoreError
from khive_supervisor.freshness import Token
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import offices, replica
from khive_supervisor.sqlite.team.applying import Applier
from khive_supervisor.sqlite.team.replica import CHAINS_SINCE, Replica
from khive_supervisor.tasks import lease
from khive_supervisor.team.clock import ServerClock
from khive_supervisor.team.order import (
    LoggedChange,
    LogPosition,
    RightsChanged,
    base_is_due,
    check_head,
)
from khive_supervisor.team.parts import Rights
from khive_workers.replicator import retaking
from khive_workers.replicator.offices import OfficeLocks
from khive_workers.replicator.scrubbing import PurgeFollower
from khive_workers.team import members, nodes, tables
from khive_workers.team.heads import HeadExchange
from khive_workers.team.server import TeamServer, boottime

#: Seconds after which a node says anew that it is there.
TELL_EVERY = 3600.0


class Following:
    """The replica of one node, as its replicator keeps it.

    Attributes:
        problem: why it cannot go on; empty while it can.
        here: how far the replica was at the last look, or is since changes were applied.
    """

    def __init__(
        self, store: SqliteStore, row: Replica, boot: Callable[[], str] = lease.boot_id
    ) -> None:
        self.problem = ""
        self.here = row.position
        self._store = store
        self._row = row
        self._boot = boot
        self._applier = Applier(store.database, store.entries, store.purges)
        self.purges = PurgeFollower(store, row.node, row.number)
        self._clock = ServerClock(row.ahead if row.boot == boot() else None)
        self._head = row.number
        self._peers: list[str] = []
        self._heard = replica.heard_file(store.path)
        self._until_peers = 0
        self._kept = retaking.kept_copies(store.path)
        self._base = 0
        self._to_slice = self._to_forget = False
        self._told: int | None = None
        self._told_at = 0.0
        self._schema = row.schema
        self._undivided = row.undivided
        self._peers_of: TeamServer | None = None
        self._offices = OfficeLocks(store)
        self._heads = HeadExchange(store.audit, row.node)
        #: What was committed to the replica when it was last read, and what that found.
        self._token: Token | None = None
        self._wanted: Collection[str] = ()
        #: The last change that a writer of this node was told to commit.
        self._accepted: LogPosition | None = None

    def position(self) -> LogPosition:
        """Return the last change that is in the replica."""
        return self._applier.position()

    def accepted(self, position: LogPosition | None) -> None:
        """Note that a writer is about to commit a change that the server has; None: forget it.

        What is forgotten is applied like what others have written.
        """
        self._accepted = position

    def expected(self) -> LogPosition:
        """Return how far the replica is, or will be once its writer has committed."""
        return self._accepted or self.position()

    def settle(self, server: TeamServer, newer: list[LoggedChange]) -> LogPosition:
        """Have the replica hold what was expected of its writer, and what is newer.

        Applying waits for a writer that is about to commit; one that is gone has left it to us.
        """
        own, self._accepted = self._accepted, None
        if own is not None and (here := self.position()) != own:
            newer = server.newer(here.number)
        elif own is not None and not newer:
            return own
        return self.apply(newer) if newer else self.position()

    def apply(self, changes: list[LoggedChange]) -> LogPosition:
        """Apply changes; return the position that leads to."""
        self._accepted = None
        self.here = here = self._applier.apply(changes)
        self._head = max(self._head, here.number)
        if self._applier.purged:
            self.purges.applied(self._applier.purged)
            self._applier.purged.clear()
            self._until_peers = 0
        return here

    @property
    def undivided(self) -> bool:
        """Whether all members see everything, as far as this node has come."""
        return self._undivided

    def note_undivided(self, undivided: bool) -> None:
        """Have this node's writers know whether changes may be in one part, before they write."""
        if undivided != self._undivided:
            self._note(lambda row: replace(row, undivided=undivided))
            self._undivided = undivided

    def look(self, server: TeamServer) -> int:
        """Look at the server's head and clock; return the newest number.

        Raises:
            RightsChanged: this node may see more than its replica was made of, or less.
            StoreRefused: it may see nothing, and its replica has nothing.
            StoreError: it is another team's, or has lost what this node has seen.
        """
        here, wanted = self._own()
        stands = self._schema >= CHAINS_SINCE and self._row.rights.full
        # Not while anything is wrong here: another node is to have them then.
        tries = self._offices.tries(wanted) if stands and not self.problem else {}
        found = server.look(here.number, *tries.values())
        tried = dict(zip(tries, found.more, strict=True))
        if stands:
            self._offices.stand(server, wanted, tried)
        self._check_rights(found.rights)
        if found.team != self._row.server:
            raise StoreError(
                "The server holds another team's store than this replica is of.",
                hint="Move the replica's directory away, and start again.",
            )
        check_head(here, found.number, found.there)
        self._head = found.number
        self._follow_member(found.rights)
        if (ahead := self._clock.take(found.sample)) is not None:
            self._note(lambda row: replace(row, boot=self._boot(), ahead=ahead))
        self._look_around(server, here.number)
        self.purges.step(server)
        _touch(self._heard)
        return found.number

    def _own(self) -> tuple[LogPosition, Collection[str]]:
        """Return how far the replica is, and which offices are wanted, read if it was written."""
        token = self._store.change_token()
        if token is None or token != self._token:
            self.here, self._wanted = self.position(), offices.wanted(self._store.database)
            self._token = token
        return self.here, self._wanted

    def _note(self, what: Callable[[Replica], Replica]) -> None:
        """Write something down in the replica's row."""
        with self._store.database.write(), self._store.database.raw() as connection:
            row = replica.read(connection)
            assert row is not None
            replica.put(connection, what(row))

    def _follow_member(self, now: Rights) -> None:
        """Note as whom this node connects: it may be somebody else with the same rights by now."""
        before = self._row.rights
        if now.member in ("", before.member):
            return
        with self._store.database.write():
            self._note(lambda row: replace(row, rights=now))
            offices.follow_member(self._store.database, before.member, now.member)
        self._row = replace(self._row, rights=now)

    def _look_around(self, server: TeamServer, here: int) -> None:
        """Now and then: who else is there, where the base is; say how far this node has come."""
        self._until_peers -= 1
        if self._until_peers >= 0:
            return
        self._until_peers = 10
        self._kept = retaking.kept_copies(self._store.path)
        tables.have_members(server)
        if self._peers_of is not server:
            tables.complete(server)
            self._peers_of = server
        tables.have_guards(server)
        self._tell(server, here)
        view = nodes.view(server, self._row.node, here)
        self._peers, self._base = view.peers, view.base
        self._to_slice, self._to_forget = view.to_slice, view.purged > view.base
        self.purges.look(view.waiting)
        if self._schema >= CHAINS_SINCE:
            self._heads.exchange(server, here)
        if view.schema > self._schema:
            self._note(lambda row: replace(row, schema=view.schema))
            self._schema = view.schema

    def _tell(self, server: TeamServer, here: int) -> None:
        """Say how far this node has come, and now and then that it is there at all."""
        now = boottime()
        if here != self._told or now - self._told_at > TELL_EVERY:
            nodes.tell(server, self._row.node, here)
            self._told, self._told_at = here, now

    def away(self) -> None:
        """Note that the connection to the server has ended, and what it held with it."""
        self._offices.lost()

    def base_is_due(self) -> bool:
        """Return whether a new base is to be made.

        The log has become long since the last one, it is to be in slices, or what it or the log
        has was purged.
        """
        if not self._row.rights.full:
            return False
        return self._to_slice or self._to_forget or base_is_due(self.here.number, self._base)

    def _check_rights(self, now: Rights) -> None:
        if now.namespaces != self._row.rights.namespaces:
            raise RightsChanged(
                f"The rights of {now.member} are other ones now: {', '.join(now.namespaces) or '-'}"
            )
        members.check_any(now)

    def retake(self, server: TeamServer, *, keep: bool) -> tuple[str, int]:
        """Take the replica anew; returns what `retaking.retake` does. Raises KhiveError."""
        self._until_peers = 0
        found = retaking.retake(server, self._store, keep=keep)
        row = self._store.replica()
        assert row is not None
        self._row, self.here = row, row.position
        self._undivided = row.undivided
        self._kept = retaking.kept_copies(self._store.path)
        return found

    def numbers(self) -> dict[str, object]:
        """Return what is told of it: numbers and the nodes that are connected."""
        here = self.here.number
        return {
            "number": here,
            "behind": max(0, self._head - here),
            "peers": self._peers,
            "base": self._base,
            "audit": self._heads.problem,
            "offices": self._offices.held,
            "clock_ahead_seconds": self._ahead(),
            "index_builds": self.purges.builds,
            "kept": self._kept,
        }

    def _ahead(self) -> float | None:
        """Return what the server's clock is ahead of this machine's; None: not known yet."""
        if self._clock.written is None:
            return None
        # In tenths: what is told only if it is news is not told each second.
        return round(boottime() + self._clock.written - time.time(), 1)


def _touch(path: str) -> None:
    try:
        os.utime(path)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
