"""Which profile serves whom: the bindings' rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from khive_supervisor.audit import actors
from khive_supervisor.profiles.model import ALL_BINDINGS, Binding, BindingFilter
from khive_supervisor.profiles.names import ARCHIVED, archived, missing
from khive_supervisor.profiles.resolve import check_ties
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.profiles import BindingStore

_SELECT = (
    "SELECT p.name, b.actor, b.namespace, b.consumer_kind, b.priority, b.created_at "
    "FROM bindings b JOIN profiles p ON p.id = b.profile_id"
)


class BindingTable(BindingStore):
    """`BindingStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    def all(self, where: BindingFilter = ALL_BINDINGS) -> list[Binding]:
        rows = self._database.rows(f"{_SELECT} ORDER BY b.id")
        return [one for one in (Binding(*row) for row in rows) if where.matches(one)]

    def bind(self, binding: Binding) -> Binding | None:
        with self._database.write():
            rows = self._database.rows(
                "SELECT id, lifecycle FROM profiles WHERE name = ?", [binding.profile]
            )
            if not rows:
                raise missing(binding.profile)
            profile_id, lifecycle = rows[0]
            if lifecycle == ARCHIVED:
                raise archived(binding.profile)
            existing = self.all()
            check_ties(binding, existing)
            before = next((one for one in existing if one.key == binding.key), None)
            now = self._clock()
            self._put(replace(binding, created_at=now), profile_id)
            self._tell(now, "profile.bound", binding, before)
            return before

    def _put(self, binding: Binding, profile_id: int) -> None:
        self._database.rows(
            "INSERT INTO bindings (profile_id, actor, namespace, consumer_kind, priority, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "profile_id = excluded.profile_id, priority = excluded.priority, "
            "created_at = excluded.created_at",
            [profile_id, *binding.key, binding.priority, binding.created_at],
        )

    def unbind(self, where: BindingFilter) -> list[Binding]:
        with self._database.write():
            found = self.all(where)
            for binding in found:
                self._database.rows(
                    "DELETE FROM bindings WHERE actor = ? AND namespace = ? AND consumer_kind = ?",
                    list(binding.key),
                )
                self._tell(self._clock(), "profile.unbound", binding, None)
            return found

    def _tell(self, at: float, kind: str, binding: Binding, before: Binding | None) -> None:
        """Write the audit chain's entry."""
        detail: dict[str, object] = {
            "actor": binding.actor,
            "namespace": binding.namespace,
            "consumer_kind": binding.consumer_kind,
            "priority": binding.priority,
        }
        if before is not None:
            detail["instead_of"] = {"profile": before.profile, "priority": before.priority}
        self._audit.append(at, kind, actors.profile(binding.profile), detail)
