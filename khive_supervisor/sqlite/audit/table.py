"""The audit chain's table: appended to in the transaction of what it tells of, never changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import GENESIS, TEXT_LIMIT, AuditEntry, Head, Stored, digest
from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.audit import ALL_ENTRIES, AuditFilter, AuditLog
from khive_supervisor.text import wellformed

#: Entries that are read at once for a check.
_PAGE = 1000

_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
_APPEND = (
    "INSERT INTO audit (seq, at, kind, actor, subject, detail, previous, hash) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)

# As bytes: text that is no UTF-8, in a file that somebody has edited, is to be found, not to fail.
_ROWS = (
    "SELECT seq, at, CAST(kind AS BLOB), CAST(actor AS BLOB), CAST(subject AS BLOB), "
    "CAST(detail AS BLOB), CAST(previous AS BLOB), CAST(hash AS BLOB) FROM audit"
)

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class AuditTable(AuditLog):
    """`AuditLog` on SQLite.

    Args:
        database: whose transactions the entries are part of.
        clock: for `record`; in other entries stands the time of what they tell of.
        actor: says who uses this store now.
        enabled: whether anything is recorded.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        actor: Callable[[], str],
        *,
        enabled: bool = True,
    ) -> None:
        self._database = database
        self._clock = clock
        self._actor = actor
        self.enabled = enabled

    def append(
        self,
        at: float,
        kind: str,
        subject: str,
        detail: Mapping[str, Any] | str,
        *,
        actor: str = "",
        always: bool = False,
    ) -> None:
        """Write an entry; part of the transaction that it tells of.

        A detail may be JSON already, made of what has passed the gate.

        That one has held the write lock since it began, so the last entry is the last one.
        """
        if not (self.enabled or always):
            return
        at += 0.0  # SQLite stores -0.0 as 0.0
        who = actor or self._actor()
        if len(who) > TEXT_LIMIT or not who.isascii():
            who = _storable(who)
        gate = self._database.gate
        who = gate.written(who)
        text = detail if isinstance(detail, str) else _encode(gate.written_data(detail))

        def following(last: list[tuple[Any, ...]]) -> Sequence[Value]:
            seq, previous = last[0] if last else (0, GENESIS)
            found = digest(seq + 1, at, kind, who, subject, text, previous)
            return seq + 1, at, kind, who, subject, text, previous, found

        self._database.derived(_LAST, _APPEND, following)

    def record(
        self,
        kind: str,
        subject: str,
        detail: Mapping[str, Any],
        *,
        actor: str = "",
        always: bool = False,
        at: float | None = None,
    ) -> None:
        if self.enabled or always:
            with self._database.write():
                when = self._clock() if at is None else at
                self.append(when, kind, subject, detail, actor=actor, always=always)

    def after_restore(self, restored: Database, source: str) -> None:
        """Say in what takes this store's place that it did, and where the chain here had ended."""
        chain = AuditTable(restored, self._clock, self._actor, enabled=self.enabled)
        try:
            instead_of = self.head().as_dict()
        except StoreError:  # damage is a reason to restore
            instead_of = None
        chain.record("store.restored", actors.STORE, {"from": source, "instead_of": instead_of})

    def _last(self) -> tuple[int, bytes]:
        rows = self._database.rows(_LAST)
        return rows[0] if rows else (0, GENESIS)

    def head(self) -> Head:
        return Head(*self._last())

    def page(
        self, where: AuditFilter = ALL_ENTRIES, limit: int = 50, before: int | None = None
    ) -> list[AuditEntry]:
        conditions: list[str] = ["1"]
        values: list[Value] = []
        for condition, value in (
            ("(kind = ?1 OR substr(kind, 1, length(?1) + 1) = ?1 || '.')", where.kind),
            ("subject = ?1", where.subject),
            ("instr(actor, ?1)", where.actor),
            ("at >= ?1", where.since),
            ("seq < ?1", before),
        ):
            if value is not None:
                values.append(value)
                conditions.append(condition.replace("?1", f"?{len(values)}"))
        rows = self._database.rows(
            f"{_ROWS} WHERE {' AND '.join(conditions)} ORDER BY seq DESC LIMIT ?{len(values) + 1}",
            [*values, limit],
        )
        return [_entry(row) for row in rows]

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        return map(_entry, self.stored(after))

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        after = -(1 << 63) if after is None else after
        while True:
            rows = self._database.rows(
                f"{_ROWS} WHERE seq > ? ORDER BY seq LIMIT ?", [after, _PAGE]
            )
            yield from cast("list[Stored]", rows)
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]


def fingerprint(text: str) -> str:
    """Return what an entry keeps of a text that it would be too small for: its BLAKE2b hash.

    It is quicker to begin with than SHA-256, and nothing else depends on it.
    """
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def _storable(actor: str) -> str:
    """What a client's environment says need not be Unicode, nor short."""
    return wellformed.text(actor)[:TEXT_LIMIT]


def shortened(text: str) -> str:
    """Return what an entry keeps of a text: its beginning."""
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    seq, at, kind, actor, subject, detail, previous, hash_ = row
    kind, actor, subject, detail = (
        (data or b"").decode("utf-8", "surrogateescape") for data in (kind, actor, subject, detail)
    )
    when = float(at) if isinstance(at, int | float) else float("nan")
    return AuditEntry(seq, when, kind, actor, subject, detail, previous or b"", hash_ or b"")
