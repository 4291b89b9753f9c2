"""The audit chains' tables: appended to in the transaction of what is told, never changed."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import TEXT_LIMIT, AuditEntry, Head, Stored, digest, genesis
from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.audit.chains import NO_LIMIT, ChainTable, PageLimit
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.audit import ALL_ENTRIES, AuditFilter, AuditLog, AuditPlace
from khive_supervisor.text import wellformed

#: One by one, each by a look at the key: a chain is long, and there are few.
_NEXT_ORIGIN = "SELECT min(origin) FROM audit_of_nodes WHERE origin > ?"

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class AuditTable(AuditLog):
    """`AuditLog` on SQLite.

    Args:
        database: whose transactions the entries are part of.
        clock: for `record`; in other entries stands the time of what they tell of.
        actor: says who uses this store now.
        enabled: whether anything is recorded.
        origin: says whose chain goes on here; empty: that of a store of one machine.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        actor: Callable[[], str],
        *,
        enabled: bool = True,
        origin: Callable[[], str] = str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._actor = actor
        self._origin = origin
        self.enabled = enabled

    @property
    def origin(self) -> str:
        return self._origin()

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

        chain = self.chain(self._origin())

        def following(last: list[tuple[Any, ...]]) -> Sequence[Value]:
            seq, previous = last[0] if last else (0, genesis(chain.origin))
            found = digest(seq + 1, at, kind, who, subject, text, previous)
            return *chain.key, seq + 1, at, kind, who, subject, text, previous, found

        self._database.derived(chain.last, chain.append, following, chain.key)

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

    def origins(self) -> list[str]:
        found: list[str] = []
        after = ""
        while (after := self._database.value(_NEXT_ORIGIN, [after])) is not None:
            found.append(after)
        return ["", *found] if not found or self.chain("").head().seq else found

    def chain(self, origin: str) -> ChainTable:
        return ChainTable(self._database, origin)

    def head(self) -> Head:
        return self.chain(self._origin()).head()

    def page(
        self,
        where: AuditFilter = ALL_ENTRIES,
        limit: int = 50,
        before: AuditPlace | None = None,
    ) -> list[AuditEntry]:
        origins = self.origins() if where.node is None else [where.node]
        limits = self._limits(origins, before)
        pages = [self.chain(o).page(where, limit, limits.get(o, NO_LIMIT)) for o in origins]
        if len(pages) == 1:
            return pages[0]
        # Each chain stays in its order, whatever a clock has said.
        return [*itertools.islice(heapq.merge(*pages, key=_age), limit)]

    def _limits(self, origins: Sequence[str], before: AuditPlace | None) -> dict[str, PageLimit]:
        """Return where the page of each chain begins, if it is to begin at an entry of one."""
        if before is None:
            return {}
        found = self.chain(before.origin).at(before.seq)
        told = {before.origin: PageLimit(seq=before.seq)}
        if found is None:  # before all that has this number, or none
            return told
        return {o: PageLimit(at=found, same=o > before.origin) for o in origins} | told

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        return self.chain(self._origin()).entries(after)

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        return self.chain(self._origin()).stored(after)


def _age(entry: AuditEntry) -> tuple[float, str]:
    return -entry.at, entry.origin


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
