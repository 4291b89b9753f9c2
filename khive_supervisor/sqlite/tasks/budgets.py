"""Budgets of roles: what was spent, what is set aside, and what that leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from khive_supervisor.budgets import limits as terms
from khive_supervisor.budgets import windows
from khive_supervisor.budgets.account import Account, Spent
from khive_supervisor.budgets.amounts import USD
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.tasks import BudgetStore
from khive_supervisor.tasks.model import Spending, Usage
from khive_supervisor.tasks.records import day_of

#: What the last attempts used, in either unit.
_RECENT = {
    USD: "SELECT cost FROM spending WHERE role = ? AND by_fallback = 0 AND cost > 0 "
    "ORDER BY seq DESC LIMIT ?",
    "tokens": "SELECT tokens FROM spending WHERE role = ? AND by_fallback = 0 AND tokens > 0 "
    "ORDER BY seq DESC LIMIT ?",
}


class BudgetTable(BudgetStore):
    """`BudgetStore` on SQLite."""

    def __init__(self, database: Database, clock: Callable[[], float], node: str = "") -> None:
        self._database = database
        self._clock = clock
        self._node = node

    def set_limits(self, limits: Mapping[str, BudgetLimits]) -> None:
        if self._own_limits() == limits:
            return
        with self._database.write():
            before = self._own_limits()
            for gone in before.keys() - limits.keys():
                self._database.rows(
                    "DELETE FROM role_limits WHERE node = ? AND role = ?", [self._node, gone]
                )
            for role, wanted in limits.items():
                if before.get(role) != wanted:
                    self._database.rows(
                        "INSERT INTO role_limits (node, role, limits) VALUES (?, ?, ?) "
                        "ON CONFLICT DO UPDATE SET limits = excluded.limits",
                        [self._node, role, terms.as_text(wanted)],
                    )

    def _own_limits(self) -> dict[str, BudgetLimits]:
        rows = self._database.rows(
            "SELECT role, limits FROM role_limits WHERE node = ?", [self._node]
        )
        return {role: terms.from_text(text) for role, text in rows}

    def _limits(self) -> dict[str, BudgetLimits]:
        """Return the limits of all roles; where nodes differ, this node's own."""
        rows = self._database.rows(
            "SELECT role, limits FROM role_limits ORDER BY node = ?, node DESC", [self._node]
        )
        return {role: terms.from_text(text) for role, text in rows}

    def limits(self, role: str) -> BudgetLimits | None:
        """Return the limits of a role; None: it may spend whatever it does."""
        text = self._database.value(
            "SELECT limits FROM role_limits WHERE role = ? ORDER BY node <> ?, node LIMIT 1",
            [role, self._node],
        )
        return None if text is None else terms.from_text(text)

    def check(self, role: str, wall: float) -> Account | None:
        """Return how a role's budget stands; None without limits, at the cost of one look.

        In a transaction that writes, nothing can change it meanwhile.
        """
        found = self.limits(role)
        return None if found is None else self._account(role, found, wall)

    def _account(self, role: str, found: BudgetLimits | None, wall: float) -> Account:
        spent = (
            self._spent(role, windows.week(wall)),
            self._spent(role, windows.month(wall)),
        )
        if found is None:
            return Account(role, spent)
        recent = self._database.rows(_RECENT[found.unit], [role, terms.RECENT])
        reserve = terms.reserve_for(found, [row[0] for row in recent])
        return Account(role, spent, found, reserve, self._reserved(role))

    def _spent(self, role: str, window: windows.Window) -> Spent:
        rows = self._database.rows(
            "SELECT ifnull(sum(cost), 0), ifnull(sum(tokens), 0) FROM spending_days "
            "WHERE role = ? AND day >= ? AND day < ?",
            [role, window.first, window.after],
        )
        return Spent(window, *rows[0])

    def _reserved(self, role: str) -> int:
        """Return what the tasks at work have set aside; other tasks have nothing."""
        return int(
            self._database.value(
                "SELECT ifnull(sum(reserved), 0) FROM tasks WHERE state = 'leased' AND role = ?",
                [role],
            )
        )

    def accounts(self) -> list[Account]:
        wall = self._clock()
        with self._database.read():
            rows = self._database.rows(
                "SELECT role FROM roles UNION SELECT role FROM role_limits ORDER BY role"
            )
            return [self._account(role, self.limits(role), wall) for (role,) in rows]

    def blocked(self) -> dict[str, str]:
        wall = self._clock()
        with self._database.read():
            found = [self._account(role, own, wall) for role, own in self._limits().items()]
        return {account.role: account.why() for account in found if account.blocks}

    def count(self, task_id: int, token: int, wall: float, usage: Usage | None) -> None:
        """Write down what an attempt used; part of the transaction that accepts its outcome."""
        if usage is None or not (usage.cost or usage.tokens):
            return
        role, by_fallback = self._database.rows(
            "SELECT role, by_fallback FROM tasks WHERE id = ?", [task_id]
        )[0]
        self._database.rows(
            "INSERT INTO spending (task_id, token, role, at, cost, tokens, by_fallback) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [task_id, token, role, wall, usage.cost, usage.tokens, by_fallback],
        )
        self._database.rows(
            "INSERT INTO spending_days (role, day, attempts, cost, tokens) VALUES (?, ?, 1, ?, ?) "
            "ON CONFLICT DO UPDATE SET attempts = attempts + 1, cost = cost + excluded.cost, "
            "tokens = tokens + excluded.tokens",
            [role, day_of(wall), usage.cost, usage.tokens],
        )

    def spending(self, after_seq: int = 0, limit: int = 500) -> list[Spending]:
        rows = self._database.rows(
            "SELECT seq, task_id, token, role, at, cost, tokens, by_fallback FROM spending "
            "WHERE seq > ? ORDER BY seq LIMIT ?",
            [after_seq, limit],
        )
        return [
            Spending(number, task, token, role, at, Usage(cost, tokens), bool(fallback))
            for number, task, token, role, at, cost, tokens, fallback in rows
        ]
