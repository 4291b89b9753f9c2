"""Statements of step 13: tasks that wait for others, for a time, or for an approval."""

from __future__ import annotations

WORKFLOWS: tuple[str, ...] = ()
