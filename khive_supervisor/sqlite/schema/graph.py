"""Statements of step 13: typed links between entries, and what was pruned."""

from __future__ import annotations

GRAPH: tuple[str, ...] = ()
