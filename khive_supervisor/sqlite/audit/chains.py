"""One audit chain in the store: that of a store of one machine, or of one node of a team."""

# ruff: noqa: S608 - statements are put together from this module's constants
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from khive_supervisor.audit.chain import AuditEntry, Head, Stored, beginning
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.audit import AuditChain, AuditFilter

#: Entries that are read at once for a check.
_PAGE = 1000

# As bytes: text that is no UTF-8, in a file that somebody has edited, is to be found, not to fail.
_FIELDS = (
    "seq, at, CAST(kind AS BLOB), CAST(actor AS BLOB), CAST(subject AS BLOB), "
    "CAST(detail AS BLOB), CAST(previous AS BLOB), CAST(hash AS BLOB)"
)
_COLUMNS = "seq, at, kind, actor, subject, detail, previous, hash"
_NEWEST = "ORDER BY seq DESC LIMIT 1"
_LAST_ALONE = f"SELECT seq, hash FROM audit {_NEWEST}"
_LAST_OF_NODE = f"SELECT seq, hash FROM audit_of_nodes WHERE origin = ?1 {_NEWEST}"
_APPEND_ALONE = f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_APPEND_OF_NODE = (
    f"INSERT INTO audit_of_nodes (origin, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(frozen=True, slots=True)
class PageLimit:
    """Where a page of a chain begins: before a number, or before a time, or at the same time."""

    seq: int | None = None
    at: float | None = None
    same: bool = False


NO_LIMIT = PageLimit()


@dataclass(frozen=True, slots=True)
class ChainTable(AuditChain):
    """`AuditChain` on SQLite.

    Attributes:
        origin: the node whose chain it is; empty: that of a store of one machine.
    """

    database: Database
    origin: str

    @property
    def key(self) -> tuple[str, ...]:
        """What its statements are given first."""
        return (self.origin,) if self.origin else ()

    @property
    def last(self) -> str:
        """The statement that finds number and hash of its newest entry."""
        return _LAST_OF_NODE if self.origin else _LAST_ALONE

    @property
    def append(self) -> str:
        """The statement that writes an entry."""
        return _APPEND_OF_NODE if self.origin else _APPEND_ALONE

    @property
    def _all(self) -> str:
        of = "audit_of_nodes WHERE origin = ?1 AND" if self.origin else "audit WHERE"
        return f"SELECT {_FIELDS} FROM {of}"

    def head(self) -> Head:
        rows = self.database.rows(self.last, self.key)
        if not rows:
            return beginning(self.origin)
        seq, found = rows[0]
        return Head(seq, found, self.origin)

    def at(self, seq: int) -> float | None:
        """Return the time of an entry; None: there is none of this number."""
        values: list[Value] = [*self.key, seq]
        rows = self.database.rows(f"{self._all} seq = ?{len(values)}", values)
        return None if not rows else self._entry(rows[0]).at

    def page(self, where: AuditFilter, limit: int, before: PageLimit) -> list[AuditEntry]:
        """Return the newest entries, newest first."""
        conditions: list[str] = ["1"]
        values: list[Value] = [*self.key]
        for condition, value in (
            ("(kind = ?1 OR substr(kind, 1, length(?1) + 1) = ?1 || '.')", where.kind),
            ("subject = ?1", where.subject),
            ("instr(actor, ?1)", where.actor),
            ("at >= ?1", where.since),
            ("seq < ?1", before.seq),
            ("at <= ?1" if before.same else "at < ?1", before.at),
        ):
            if value is not None:
                values.append(value)
                conditions.append(condition.replace("?1", f"?{len(values)}"))
        rows = self.database.rows(
            f"{self._all} {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?{len(values) + 1}",
            [*values, limit],
        )
        return [self._entry(row) for row in rows]

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        return map(self._entry, self.stored(after))

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        after = -(1 << 63) if after is None else after
        key = self.key
        sql = f"{self._all} seq > ?{len(key) + 1} ORDER BY seq LIMIT ?{len(key) + 2}"
        while True:
            rows = self.database.rows(sql, [*key, after, _PAGE])
            yield from cast("list[Stored]", rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def _entry(self, row: tuple[Any, ...]) -> AuditEntry:
        seq, at, *texts, previous, hash_ = row
        kind, actor, subject, detail = (
            (data or b"").decode("utf-8", "surrogateescape") for data in texts
        )
        when = float(at) if isinstance(at, int | float) else float("nan")
        return AuditEntry(
            seq, when, kind, actor, subject, detail, previous or b"", hash_ or b"", self.origin
        )
