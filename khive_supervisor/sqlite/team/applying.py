"""What other nodes have changed, applied to this node's replica in the order of its numbers."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import apsw

from khive_supervisor import logs
from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.changes.splitting import ChangeSplitter, builder
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.purge import Purging
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.schema.shared import BELONGS
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.admission import FARTHEST, AdmittedPart, PartAdmission
from khive_supervisor.team.order import LoggedChange, LogPosition, following
from khive_supervisor.team.parts import UNDIVIDED, Rights

log = logs.get("khive.team")

#: A trigger that counts what it is on: the table, and the kind under which it is counted.
_COUNTER = re.compile(
    r" ON (\w+)\b.*UPDATE changes SET count = count \+ 1 WHERE kind = '(\w+)'", re.DOTALL
)
#: The triggers that count entries and vectors: each node has its own counts, of what it has.
_COUNTS = re.compile(r"CREATE TRIGGER (\w+)(.*?) ON (\w+)(.*vector_counts.*)", re.DOTALL)


class Fit(enum.Enum):
    """What of a part has to fit what is here."""

    ALL = "all"
    #: What it changes may be hidden from this node, and is left out; of its chain, which it keeps
    #: when all else is taken anew, this node may have what comes again.
    WHAT_IS_HERE = "what is here"
    #: What does not fit is left out, on each node alike.
    WHAT_CAN = "what can"


class Diverged(StoreError):
    """A change does not fit what is here: this replica is not what the others are."""


#: What applying a change raises that was not made by a node.
UNFIT = (
    ValueError, TypeError, LookupError, AttributeError, AssertionError, Diverged,
    apsw.CorruptError, apsw.ConstraintError, apsw.MismatchError, apsw.SchemaChangeError,
    apsw.SQLError, apsw.MisuseError, apsw.RangeError, apsw.TooBigError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PurgedEntries:
    """What a change has purged: its number, and the texts that were here until then."""

    number: int
    texts: tuple[str, ...]


class Applier:
    """Applies changes; has a connection of its own, on which neither trigger nor reference acts.

    But for the triggers that count entries and vectors, which it has as temporary ones.
    """

    def __init__(
        self, database: Database, entries: EntryTable, purging: Purging | None = None
    ) -> None:
        #: What the changes that were applied have purged; whoever follows that clears it.
        self.purged: list[PurgedEntries] = []
        self._database = database
        self._entries = entries
        self._purging = purging
        with self._database.raw() as connection:
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("PRAGMA synchronous = NORMAL")
            # What a purge frees is overwritten, in whatever change it comes.
            connection.execute("PRAGMA secure_delete = ON")
            triggers = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
            statements = [str(sql) for (sql,) in triggers.fetchall()]
            _count_by_itself(connection, statements)
            self._admission = PartAdmission(ChangeSplitter(connection))
        found = [_COUNTER.search(sql) for sql in statements]
        #: By table, under which kind a change of it is counted.
        self._counted = {match[1]: match[2] for match in found if match}

    def position(self) -> LogPosition:
        """Return the last change that is in here."""
        with self._database.raw() as connection:
            return replica.position(connection)

    def apply(self, changes: Sequence[LoggedChange]) -> LogPosition:
        """Apply what is newer than what is here; return the position that this leads to.

        One transaction: all of it or nothing.

        Raises:
            Diverged: one of them does not fit.
            OutOfOrder, SchemaAhead: they are not what follows.
            KhiveError: the replica cannot be written now.
        """
        with self._database.write(), self._database.raw() as connection:
            row = replica.read(connection)
            here = row.position if row is not None else LogPosition(0)
            newer = following(here.number, changes, NEWEST)
            applied = _Applied(row.rights if row is not None else Rights())
            node = row.node if row is not None else ""
            for together in _series(newer):
                if len(together) == 1 or not self._apply_series(connection, together, applied):
                    for change in together:
                        self._apply_one(connection, change, node, applied)
            self._entries.follow(sorted(applied.entries))
            if applied.purged:
                self._entries.merge_words()
            self._count(applied.tables)
            if newer:
                here = LogPosition(newer[-1].number, newer[-1].nonce)
                replica.advance(connection, here)
        self.purged += applied.purged
        return here

    def _apply_series(
        self, connection: apsw.Connection, changes: Sequence[LoggedChange], applied: _Applied
    ) -> bool:
        """Apply undivided changes as one, which costs less; False: nothing was done.

        One that purges is applied by itself; so are all, if what they come to does not fit.
        """
        parts = [change.parts[0] for change in changes]
        found = [
            self._admission.admitted(part, change, applied.rights)
            for part, change in zip(parts, changes, strict=True)
        ]
        if any(one.purged for one in found):
            return False
        connection.execute("SAVEPOINT series")
        try:
            _put(
                connection, changes[0].number, _together([part.changes for part in parts]), Fit.ALL
            )
        except Diverged:
            connection.execute("ROLLBACK TO series")
            return False
        finally:
            connection.execute("RELEASE series")
        for change, admitted in zip(changes, found, strict=True):
            self._note(connection, change, admitted, applied)
        return True

    def _note(
        self,
        connection: apsw.Connection,
        change: LoggedChange,
        admitted: AdmittedPart,
        applied: _Applied,
    ) -> None:
        """Write down who has written what was applied, and what it touches."""
        applied.tables |= admitted.tables
        applied.entries |= admitted.entries
        replica.note_member(connection, admitted.written, change.member)
        replica.note_givers(connection, admitted.changes, change.member)

    def _apply_one(
        self, connection: apsw.Connection, change: LoggedChange, node: str, applied: _Applied
    ) -> None:
        """Apply a change; of one whose writer sees some namespaces only, what can be applied.

        Such a writer may have made it so that it fits nowhere: no node stops for that.
        """
        if not change.partial:
            self._apply_parts(connection, change, node, applied)
            return
        before = len(applied.purged)
        connection.execute("SAVEPOINT partial")
        try:
            self._apply_parts(connection, change, node, applied)
        except UNFIT as error:
            connection.execute("ROLLBACK TO partial")
            del applied.purged[before:]
            why = repr(error)
            log.warning("team.unfit", change=change.number, member=change.member, error=why)
        finally:
            connection.execute("RELEASE partial")

    def _apply_parts(
        self, connection: apsw.Connection, change: LoggedChange, node: str, applied: _Applied
    ) -> None:
        rights, together = applied.rights, list[bytes]()
        fit = Fit.WHAT_CAN if change.partial else Fit.ALL if rights.full else Fit.WHAT_IS_HERE
        for part in change.parts:
            if not rights.see(part.name) and change.node != node:
                continue
            admitted = self._admission.admitted(part, change, rights)
            if admitted.foreign:
                log.warning("team.foreign_rows", change=change.number, member=change.member)
            if admitted.purged:
                applied.purged.append(self._purged(change.number, admitted.purged))
            if rights.full:
                together.append(admitted.changes)
            else:  # what a part names is looked for among what those before it have brought
                _put(connection, change.number, admitted.changes, fit)
            self._note(connection, change, admitted, applied)
        if rights.full:
            _put(connection, change.number, _together(together), fit)
        else:
            _take_marks(connection, change)

    def _purged(self, number: int, ids: Sequence[int]) -> PurgedEntries:
        """Forget what only this machine has of entries that are purged; return what they say."""
        found = self._entries.get(ids)
        if self._purging is not None:
            self._purging.forget_here(found)
        return PurgedEntries(number, tuple(t for one in found for t in (one.content, one.title)))

    def _count(self, tables: Iterable[str]) -> None:
        """Let this machine's processes see that these have changed, as the triggers would."""
        for kind in {self._counted[table] for table in tables if table in self._counted}:
            self._database.rows("UPDATE changes SET count = count + 1 WHERE kind = ?", [kind])


def _series(changes: Sequence[LoggedChange]) -> Iterator[list[LoggedChange]]:
    """Give changes in their order: those that follow each other and are undivided as one."""

    def undivided(change: LoggedChange) -> bool:
        return [part.name for part in change.parts] == [UNDIVIDED]

    for alike, found in groupby(changes, key=undivided):
        those = [*found]
        yield from [those] if alike else [[one] for one in those]


def _together(parts: Sequence[bytes]) -> bytes:
    if len(parts) == 1:
        return parts[0]
    made = builder()
    for changes in parts:
        made.add(changes)
    return made.output()


class _Applied:
    """What changes have touched: tables, and entries whose words may be other ones now."""

    def __init__(self, rights: Rights) -> None:
        self.rights = rights
        self.tables: set[str] = set()
        self.entries: set[int] = set()
        self.purged: list[PurgedEntries] = []


def _count_by_itself(connection: apsw.Connection, statements: Iterable[str]) -> None:
    for sql in statements:
        if found := _COUNTS.fullmatch(sql):
            name, when, table, body = found.groups()
            connection.execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS team_{name}{when} ON main.{table}{body}"
            )


def _put(connection: apsw.Connection, number: int, changes: bytes, fit: Fit) -> None:
    """Apply a part; raises Diverged."""
    clashes: list[str] = []

    def conflict(reason: int, row: apsw.TableChange) -> int:
        here = reason == apsw.SQLITE_CHANGESET_NOTFOUND or BELONGS[row.name].audit
        if fit is Fit.WHAT_CAN or (fit is Fit.WHAT_IS_HERE and here):
            return apsw.SQLITE_CHANGESET_OMIT
        why = apsw.mapping_session_conflict.get(reason, reason)
        clashes.append(f"{row.op} of {row.name}: {why}")
        return apsw.SQLITE_CHANGESET_ABORT

    try:
        apsw.Changeset.apply(changes, connection, filter=BELONGS.__contains__, conflict=conflict)
    except apsw.AbortError:
        raise Diverged(
            f"Change {number} does not fit this node's replica ({'; '.join(clashes)}).",
            hint="It is taken anew from the server; if that happens again, report it.",
        ) from None


def _take_marks(connection: apsw.Connection, change: LoggedChange) -> None:
    """Give no number again that a row has which is hidden from this node."""
    for table, mark in change.marks.items():
        if change.partial and mark > ChangeSplitter(connection).last(table) + FARTHEST:
            continue
        if table in BELONGS:
            connection.execute(
                "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (mark, table)
            )
            if not connection.changes():
                connection.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, mark))
