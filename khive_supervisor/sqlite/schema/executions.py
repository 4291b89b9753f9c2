"""Statements of step 13: attempts of tasks that have ended, kept as entries."""

from __future__ import annotations

EXECUTIONS: tuple[str, ...] = ()
