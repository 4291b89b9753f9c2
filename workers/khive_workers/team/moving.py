"""Moving a store of one machine to a team's server, and a team's store into a file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import apsw

from khive_supervisor.errors import InvalidInput, StoreError, StoreUnavailable
from khive_supervisor.host.durable import sync
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import comparing, copies
from khive_supervisor.sqlite.team.applying import Applier
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.team.moves import Compared, Moved, MoveStep
from khive_workers.team import bases, joining, members, tables
from khive_workers.team.bases import Base
from khive_workers.team.server import TeamServer

#: What a store of one machine has other rows in: roles of other nodes are none of its own.
_OF_ROLES = ("roles", "role_limits")
#: Seconds in which a replica has to have caught up before it is moved.
_CATCH_UP = 600.0


@dataclass(frozen=True, slots=True)
class StoreMover:
    """Moves a store.

    Attributes:
        server: where a team's store is, or will be.
        tell: is told of each step.
    """

    server: TeamServer
    tell: Callable[[MoveStep], None]

    def _parts(self, done: int, total: int) -> None:
        self.tell(MoveStep("sending", done, total))

    # --- to the server --------------------------------------------------------------------------

    def look(self, source: str) -> Moved:
        """Return what would be moved, and what stands in the way."""
        with _opened(source) as store:
            entries = copies.count_entries(store.database)
            size = os.path.getsize(store.path)
        problems = self._problems() if tables.exist(self.server) else []
        return Moved(
            server=self.server.host, entries=entries, number=0, bytes=size, problems=problems
        )

    def to_server(self, source: str, target: str) -> Moved:
        """Make a server's store of a machine's own, and the replica of it at `target`.

        The store at `source` stays as it is. Repeated after an interruption, it sends only the
        parts that the server does not have yet: the same store makes the same base.

        Raises:
            InvalidInput: the server has a team's store already.
            KhiveError: it could not be done; the server has no other store than before.
        """
        copy, stripped = target + ".moving", target + ".base"
        self.tell(MoveStep("copying", 0, 1))
        with _opened(source) as store, _without(copy, stripped):
            copy_to(store.database, copy)
            copy_to(store.database, stripped)
            base = joining.strip(stripped)
            self.tell(MoveStep("copying", 1, 1))
            compared = _compare(source, stripped, ())
            self._bring(base, stripped)
            self._settle(copy, target, base)
        return Moved(
            server=self.server.host, entries=base.entries, number=0, file=target, compared=compared
        )

    def _bring(self, base: Base, stripped: str) -> None:
        """Have the server hold the base, checked; one that an earlier attempt has brought stays."""
        with tables.making(self.server):
            found = bases.newest(self.server)
            if found is not None and found.sha256 == base.sha256:
                return
            self._check_empty()
            there = bases.upload(self.server, base, "", stripped, self._parts)
            self._verify(base, there)
            bases.publish(self.server, there, 0, anew=True)

    def _problems(self) -> list[str]:
        base, head = bases.newest(self.server), self.server.look(0).number
        if head or (base is not None and base.entries):
            return [f"the server {self.server.host} holds a team's store already"]
        return []

    def _check_empty(self) -> None:
        if problems := self._problems():
            raise InvalidInput(
                f"Nothing was moved: {problems[0]}.",
                hint="To add this machine's memories to that one: `export` them to a file, `join` "
                "the team, start, and `import` the file.",
            )

    def _verify(self, base: Base, there: int) -> None:
        """Read back what the server holds: it is what was sent."""
        digest = hashlib.sha256()
        for number, data in enumerate(bases.parts(self.server, there, base.parts), 1):
            digest.update(data)
            self.tell(MoveStep("checking", number, base.parts))
        if digest.digest() != base.sha256:
            raise StoreError(
                "The server does not hold what was sent to it; nothing was moved.",
                hint="Repeat the command; if it happens again, look at the server's disk.",
            )

    def _settle(self, copy: str, target: str, base: Base) -> None:
        """Make the whole copy this node's replica: with what only this machine has."""
        team = self.server.look(0).team
        made = Replica(
            joining.node_name(), team, base.position.number, schema=NEWEST,
            rights=members.rights(self.server),
        )  # fmt: skip
        copies.make_replica(copy, made)
        sync(copy)
        os.rename(copy, target)
        sync(os.path.dirname(target))

    # --- from the server ------------------------------------------------------------------------

    def to_file(self, source: str, target: str) -> Moved:
        """Write a team's store, as its newest change left it, to a file of one machine.

        `source` is this node's replica, which goes on.

        Raises:
            InvalidInput: there is something at `target`.
            KhiveError: it could not be done; nothing is at `target`.
        """
        copy = target + ".moving"
        with _opened(source) as store, _without(copy):
            if os.path.lexists(target):
                raise InvalidInput(f"{target} exists.", hint="Name a file that does not.")
            self._catch_up(store)
            self.tell(MoveStep("copying", 0, 1))
            copy_to(store.database, copy)
            number = copies.leave_team(copy)
            self.tell(MoveStep("copying", 1, 1))
            compared = _compare(source, copy, _OF_ROLES)
            entries = copies.count_entries(store.database)
            sync(copy)
            os.rename(copy, target)
            sync(os.path.dirname(os.path.abspath(target)))
        return Moved(
            server=self.server.host, entries=entries, number=number, file=target, compared=compared
        )

    def _catch_up(self, store: SqliteStore) -> None:
        """Apply what the server has; whoever else does so meanwhile is not in the way."""
        applier, until = Applier(store.database, store.entries), time.monotonic() + _CATCH_UP
        begin = applier.position().number
        head = self.server.look(begin).number
        while (here := applier.position().number) < head:
            self.tell(MoveStep("catching up", here - begin, head - begin))
            if time.monotonic() > until:
                raise StoreUnavailable(
                    f"This node is {head - here} changes behind the server.",
                    hint="Repeat it when `khive-supervisor status` shows that it keeps up.",
                )
            applier.apply(self.server.newer(here))


def _compare(source: str, made: str, left_out: tuple[str, ...]) -> Compared:
    """Compare two files row by row, but for tables that differ as they should.

    Raises:
        StoreError: they are not equal: something wrote meanwhile, or the disk did not.
    """
    flags = apsw.SQLITE_OPEN_READONLY
    with (
        closing(apsw.Connection(source, flags=flags)) as one,
        closing(apsw.Connection(made, flags=flags)) as two,
    ):
        before, after = comparing.contents(one), comparing.contents(two)
    if differ := comparing.differing(before, after, left_out):
        raise StoreError(
            f"What was copied is not what is in the store: {', '.join(differ)}. Nothing was moved.",
            hint="Something wrote meanwhile. End what uses the store, and repeat it.",
        )
    rows = sum(content.rows for content in after.values())
    return Compared(rows=rows, tables=len(after))


@contextmanager
def _opened(path: str) -> Iterator[SqliteStore]:
    if not os.path.exists(path):
        raise InvalidInput(f"There is no store at {path}.", hint="Nothing was done.")
    with SqliteStore(path, guarded=True) as store:
        yield store


@contextmanager
def _without(*paths: str) -> Iterator[None]:
    """Leave nothing at some paths, before and after."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    try:
        yield
    finally:
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
