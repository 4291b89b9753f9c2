"""Statements of step 15: whether a node's changes may travel in one part."""

from __future__ import annotations

#: `undivided`: every member of the team sees everything, so that a change need not be split.
UNDIVIDED: tuple[str, ...] = (
    """
    ALTER TABLE replica ADD COLUMN undivided INTEGER NOT NULL DEFAULT 0
        CHECK (undivided IN (0, 1))
    """,
)
