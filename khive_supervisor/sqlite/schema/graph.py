"""Statements of step 13: typed links between entries, and what was pruned."""

from __future__ import annotations

#: `valid_from` and `valid_until` of a link: when what it says holds; null: it has no such end.
#: `created_at` and `ended_at` are when the store learned of it, and was told that it is not so.
GRAPH: tuple[str, ...] = (
    "ALTER TABLE links ADD COLUMN valid_from REAL",
    "ALTER TABLE links ADD COLUMN valid_until REAL",
)
